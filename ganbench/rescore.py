"""Scores of models that a run trained and kept, by other metrics or from more samples, without training again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ganbench.errors import BadInput
from ganbench.jobs import Job, JobSpec
from ganbench.make import effective_config
from ganbench.model import Model
from ganbench.records import Record, RunFolder
from ganbench.registry import METRICS
from ganbench.runner import Clock, make_model, now, pick_device, score_trained
from ganbench.scoring import Workplace

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
    old = record.spec.model_dump()
    names = tuple(metrics) or tuple(old["metrics"])
    versions = {k: v for k, v in old["versions"].items() if not k.startswith("metric:")}
    versions |= {f"metric:{m}": str(METRICS.get(m).meta.get("version", 1)) for m in names}
    changes = {"metrics": names, "n_samples": n or old["n_samples"], "versions": versions, "rescored": record.job_id}
    spec = JobSpec(**{**old, **changes})
    job = Job(spec, spec.model, spec.dataset, data_dir)
    dataset = place.dataset(job.dataset_ref, data_dir)
    if dataset.spec.sha256 != record.data_sha256:
        raise BadInput(f"{spec.row} was trained on other data of the name {spec.dataset!r}; their hashes differ")
    model = make_model(job, dataset.spec)
    _load(model, path, record)
    model.to(pick_device(spec.device)).eval()
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


def _load(model: Model, path: Path, record: Record) -> None:
    """Put the kept weights in place. Raises `BadInput` where the file or the network is another one."""
    said = next((a["sha256"] for a in record.artifacts if a["kind"] == "weights"), None)
    if hashlib.sha256(path.read_bytes()).hexdigest() != said:
        raise BadInput(f"{path.parent.name}/{path.name} is not the file that was written after training")
    try:
        model.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise BadInput(
            f"the weights of {record.spec.row} are of another network: {str(error).splitlines()[0]}"
        ) from None
    with torch.no_grad():
        if not all(torch.isfinite(p).all() for p in model.parameters()):
            raise BadInput(f"the weights of {record.spec.row} are not finite")
