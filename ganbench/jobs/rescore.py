"""Scores of models that a run trained and kept, by other metrics or from more samples, without training again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from ganbench.datasets.base import Dataset
from ganbench.errors import BadInput
from ganbench.jobs.records import Record, RunFolder, now
from ganbench.jobs.runner import Clock, pick_device, score_trained
from ganbench.jobs.spec import Job
from ganbench.model import Model
from ganbench.model.make import effective_config, make_with_weights, model_class
from ganbench.registry import METRICS
from ganbench.scoring.inputs import Workplace

WEIGHTS = "weights.safetensors"


def rescored(
    root: Path,
    metrics: Sequence[str] = (),
    n_samples: int | None = None,
    *,
    data_dir: str | None = None,
    scorer_weights: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Record]:
    """A record for each job of a run that ended well and kept its weights, by these metrics and this many samples.

    Where nothing is said they are those of the run. Budget, training seconds and hash of the code stay those of the
    training; `rescored` names its job. Raises `BadInput` when no job kept weights or a file is not what was trained.
    """
    folder = RunFolder.open(root)
    kept = [r for r in folder.records() if r.status == "ok" and (folder.job_folder(r.spec) / WEIGHTS).is_file()]
    if not kept:
        raise BadInput(f"no job of {root.name!r} kept its weights; run with --save-weights")
    place = Workplace(scorer_weights=scorer_weights)
    found = []
    for i, record in enumerate(kept, 1):
        say(f"[{i}/{len(kept)}] {record.spec.row}/{record.spec.dataset}/s{record.spec.seed}")
        path = folder.job_folder(record.spec) / WEIGHTS
        found.append(_rescored(record, path, place, metrics, n_samples, data_dir))
    return found


def _rescored(
    record: Record, path: Path, place: Workplace, metrics: Sequence[str], n: int | None, data_dir: str | None
) -> Record:
    old = record.spec
    names = tuple(metrics) or old.metrics
    versions = {k: v for k, v in old.versions.items() if not k.startswith("metric:")}
    versions |= {f"metric:{m}": str(METRICS.get(m).version) for m in names}
    spec = old.but(metrics=names, n_samples=n or old.n_samples, versions=versions, rescored=record.job_id)
    job = Job(spec, spec.model, spec.dataset, data_dir)
    dataset = place.dataset(job.dataset_ref, data_dir)
    model = trained_model(record, path, dataset).to(pick_device(spec.device))
    found = score_trained(job, place, dataset, model, Clock())
    del found["artifacts"]
    changed = {
        "job_id": spec.job_id,
        "spec": spec,
        "config": effective_config(model.config),
        "ended_at": now(),
        **found,
    }
    return record.model_copy(update=changed)


def trained_model(record: Record, path: Path, dataset: Dataset, ref: str = "") -> Model:
    """The model of a record with the weights that its job kept in `path`, in eval mode on the CPU.

    The config is the one that held in training, also where defaults are others by now. `ref` names a model that the
    registry does not know. Raises `BadInput` where the data, the file or the network is another one.
    """
    spec = record.spec
    if dataset.spec.sha256 != record.data_sha256:
        raise BadInput(f"{spec.row} was trained on other data of the name {spec.dataset!r}; their hashes differ")
    said = next((a["sha256"] for a in record.artifacts if a["kind"] == "weights"), None)
    if hashlib.sha256(path.read_bytes()).hexdigest() != said:
        raise BadInput(f"{path.parent.name}/{path.name} is not the file that was written after training")
    ref = ref or spec.model
    now_holds = effective_config(model_class(ref).configure(dataset.spec, **spec.config))
    moved = {k: v for k, v in record.config.items() if now_holds.get(k) != v}
    return make_with_weights(ref, dataset.spec, {**spec.config, **moved}, path, (spec.model, spec.dataset, spec.seed))
