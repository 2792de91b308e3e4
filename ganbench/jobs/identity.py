"""What a job stands on beside its spec: the code and the user's files, as the hashes that the spec names.

The plan takes them; a worker takes them again before it imports or loads any of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganbench.datasets.layout import find_splits
from ganbench.errors import BadInput, GanbenchError
from ganbench.files import contents_sha256
from ganbench.jobs.spec import Job
from ganbench.provenance.source import code_sha256, look_again
from ganbench.registry import DATASETS, METRICS, MODELS, SCORERS, DatasetInfo, MetricInfo, ModelInfo, scorer_name


def code_of(model: ModelInfo, data: tuple[str, DatasetInfo], metrics: Sequence[MetricInfo]) -> str:
    """Hash of all code that can move a job's scores: the data set's scorer too, where a metric looks through it.

    `data` is the reference of a data set and its entry.
    """
    scorer, dataset = scorer_name(*data), data[1]
    looks = any(m.looks_through for m in metrics)
    return code_sha256(model, dataset, *metrics, *([SCORERS.get(scorer)] if scorer and looks else []))


def files_of(ref: str, dataset: DatasetInfo, scorer_weights: str | None = None) -> dict[str, str]:
    """Hashes of the user's files behind a data set: {"files"} of folder:PATH, {"scorer_weights"} where they are used.

    Raises `BadInput` where there are none, or a folder holds what would not be read.
    """
    found = {}
    if dataset.prefix:
        path = Path(ref.partition(":")[2])
        if not path.is_file() and not path.is_dir():
            raise BadInput(f"no file or folder {path.name!r}; check the path after the colon")
        if path.is_dir():
            find_splits(path)
        found["files"] = contents_sha256(path)[:16]
    scorer = scorer_name(ref, dataset)
    if scorer_weights and scorer and SCORERS.get(scorer).needs_weights:
        found["scorer_weights"] = contents_sha256(Path(scorer_weights))[:16]
    return found


def changed_since_plan(job: Job) -> str | None:
    """What a job stands on and is no longer what was planned; None where all of it is."""
    look_again()
    planned = job.spec.versions.get("files")
    try:
        model, dataset = MODELS.get(job.model_ref), DATASETS.get(job.dataset_ref)
        metrics = [METRICS.get(name) for name in job.spec.metrics]
        if job.spec.code_sha256 not in ("", code_of(model, (job.dataset_ref, dataset), metrics)):
            return f"the code that {model.name} is trained and scored with was edited after the run was planned"
        if planned and planned != files_of(job.dataset_ref, dataset)["files"]:
            return f"the files of {job.spec.dataset} were changed after the run was planned"
    except GanbenchError:  # gone or broken: the job itself will say how
        return None
    return None
