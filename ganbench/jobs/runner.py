"""The page to read first: `run_job` takes one job from data to a record, and nothing raises past it.

load the data -> build the model -> train -> sample -> check the samples once -> score -> write what is worth keeping.
Streams (see `ganbench.seeding`): latent draws and metric draws depend on (data set, seed) alone, so that models are
compared in pairs on the same draws; initialisation and training noise depend on the model too.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ganbench import seeding
from ganbench.data import DataSpec
from ganbench.datasets.base import Dataset
from ganbench.engine.loop import Training, train
from ganbench.engine.turns import deterministic, matmul_precision
from ganbench.errors import Diverged, MissingResource, NotApplicable
from ganbench.jobs import keep
from ganbench.jobs.records import CHECKPOINT, SCHEMA, MetricRow, Record, now
from ganbench.jobs.shown import check_labels, training_data
from ganbench.jobs.spec import Job, JobSpec
from ganbench.model import Budget, Model
from ganbench.model.make import effective_config, make
from ganbench.provenance import environment
from ganbench.scoring.draws import draw_all
from ganbench.scoring.inputs import Inputs, MetricFailed, Workplace, score_all

Progress = Callable[[int, float], None]


def run_job(
    job: Job,
    place: Workplace,
    folder: Path | None = None,
    *,
    attempt: int = 1,
    on_progress: Progress | None = None,
    save_weights: bool = False,
) -> Record:
    """Train, sample and score one job. Failure of any kind is a record with a status and a reason."""
    spec = job.spec
    clock = Clock()
    partial: dict[str, Any] = {}  # what is known when a later phase fails
    started = now()
    outcome: dict[str, Any]
    try:
        with deterministic(bool(spec.deterministic)):
            partial["determinism"] = environment.determinism(spec.device)
            outcome = {"status": "ok", **_run(job, place, folder, clock, partial, on_progress, save_weights)}
    except Diverged as error:
        outcome = {"status": "diverged", "reason": environment.in_one_line(error)}
        reached: Training | None = getattr(error, "training", None)
        if reached is not None:
            partial |= {"examples": reached.examples, "trained": reached, **_kept_history(folder, reached.history)}
        partial["iterations"] = error.iteration
    except (NotApplicable, MissingResource) as error:
        reason = environment.in_one_line(error)
        outcome = {"status": "skipped", "reason": reason, "error": {"type": type(error).__name__}}
    except (MemoryError, torch.OutOfMemoryError) as error:
        outcome = {"status": "oom", "reason": f"{clock.phase}: out of memory", "error": _describe(error, clock.phase)}
    except BaseException as error:  # a model may raise anything, SystemExit and KeyboardInterrupt too
        memory = isinstance(error, RuntimeError) and "allocate memory" in environment.in_one_line(error)
        reason = f"{clock.phase}: {environment.in_one_line(error)}"
        outcome = {"status": "oom" if memory else "failed", "reason": reason, "error": _describe(error, clock.phase)}
        if isinstance(error, MetricFailed):
            outcome |= {"metrics": [MetricRow(**row) for row in error.rows], "not_applicable": error.missing}
    trained: Training | None = partial.pop("trained", None)
    return Record(
        schema=SCHEMA,
        job_id=spec.job_id,
        spec=spec,
        attempt=attempt if trained is None else max(attempt, trained.legs),  # a killed driver left no record of one
        started_at=started,
        ended_at=now(),
        timing=clock.timing(trained),
        **{**partial, **outcome},
    )


def _run(
    job: Job,
    place: Workplace,
    folder: Path | None,
    clock: Clock,
    partial: dict[str, Any],
    on_progress: Progress | None,
    save_weights: bool,
) -> dict[str, Any]:
    spec, device = job.spec, pick_device(job.spec.device)
    with clock("data"):
        dataset = place.dataset(job.dataset_ref, job.data_dir)
        check_labels(spec, dataset)
        partial["data_sha256"] = dataset.spec.sha256
    with clock("build"):
        model = make_model(job, dataset.spec).to(device)
        partial |= {"n_parameters": count_parameters(model), "config": effective_config(model.config)}
    rounded = matmul_precision(spec.precision or "ieee")
    with clock("train"), rounded, seeding.global_stream("training", spec.model, spec.dataset, spec.seed):
        budget = budget_of(spec)
        rng = seeding.stream("training", spec.model, spec.dataset, spec.seed, device=device)
        data = training_data(model, dataset, spec).to(device)
        checkpoint = folder and checkpoint_of(folder)
        trained = train(model, data, budget, rng, on_progress=on_progress, checkpoint=checkpoint)
    partial |= {"iterations": trained.iterations, "examples": trained.examples, "trained": trained}
    partial |= _kept_history(folder, trained.history)
    return score_trained(job, place, dataset, model, clock, folder, trained.history, save_weights)


def score_trained(
    job: Job,
    place: Workplace,
    dataset: Dataset,
    model: Model,
    clock: Clock,
    folder: Path | None = None,
    curves: Any = None,
    save_weights: bool = False,
) -> dict[str, Any]:
    """Sample from a trained model on its device and score it: what a record holds of it, and files in `folder`."""
    spec = job.spec
    counts = spec.label_counts or ([spec.labels] if spec.labels else [])
    inputs = Inputs(
        place, job.dataset_ref, dataset, spec.n_samples, spec.seed, model=model, label_counts=counts, draw=spec.draw
    )
    with clock("sample"):
        inputs.events = draw_all(inputs, model, (spec.dataset, spec.seed), pick_device(spec.device))
    model.to("cpu")  # metrics look at it with the real data, which stays there
    with clock("score"):
        rows, missing = score_all(spec.metrics, inputs)
    with clock("write"):
        artifacts = _kept(folder, lambda: keep.artifacts(folder, model, inputs, curves, save_weights)) if folder else []
    return {"metrics": [MetricRow(**row) for row in rows], "not_applicable": missing, "artifacts": artifacts}


def make_model(job: Job, spec: DataSpec) -> Model:
    """The model of a job, built for the data."""
    return make(job.model_ref, spec, job.spec.config, (job.spec.model, job.spec.dataset, job.spec.seed))


def checkpoint_of(folder: Path) -> Path:
    """Where a long training saves itself, to go on from there when its job is run again."""
    return folder / CHECKPOINT


def budget_of(spec: JobSpec) -> Budget:
    """The spec's budget. Raises `BadConfig` for a spec without one."""
    return Budget(**{k: v if k == "seconds" else int(v) for k, v in spec.budget.items()})  # type: ignore[arg-type]


def pick_device(name: str) -> torch.device:
    """The device of that name. Raises `MissingResource` when it is not here."""
    if name == "cuda" and not torch.cuda.is_available():
        raise MissingResource("device cuda: torch finds no CUDA device; use --device cpu, or see `ganbench doctor`")
    if name == "mps" and not torch.backends.mps.is_available():
        raise MissingResource("device mps: torch finds no Metal device; use --device cpu, or see `ganbench doctor`")
    return torch.device(name)


def count_parameters(model: Model) -> dict[str, int]:
    """Trainable numbers of each direct part of the model, and their total."""
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    return {**{k: v for k, v in parts.items() if v}, "total": sum(p.numel() for p in model.parameters())}


class Clock:
    """Seconds per phase, and the phase we are in."""

    def __init__(self) -> None:
        self.phase, self.seconds, self.start = "start", dict[str, float](), time.perf_counter()
        environment.reset_peak_memory()

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Time one phase; on an error the phase stays named."""
        self.phase, start = phase, time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start

    def timing(self, trained: Training | None) -> dict[str, float]:
        """The record's timing: seconds per phase, throughput, peak memory in bytes.

        A training that went on from a checkpoint counts with the seconds of all its legs, and `train_legs` says so.
        """
        out = {f"{phase}_s": round(s, 6) for phase, s in self.seconds.items()}
        out["wall_s"] = round(time.perf_counter() - self.start, 6)
        if trained is not None and trained.legs > 1:
            out["train_s"] = round(out["train_s"] + trained.earlier, 6)
            out["wall_s"] = round(out["wall_s"] + trained.earlier, 6)
            out["train_legs"] = trained.legs
        if trained is not None and trained.seconds > 0:
            out["examples_per_s"] = round(trained.examples / trained.seconds, 3)
            out["iterations_per_s"] = round(trained.iterations / trained.seconds, 3)
        return out | environment.peak_memory()


def _kept_history(folder: Path | None, history: Any) -> dict[str, Any]:
    if folder is None or not history:
        return {}
    return {"history": _kept(folder, lambda: keep.history(folder, history))}


def _kept(folder: Path, write: Callable[[], Any]) -> Any:
    """What `write` returns, which puts files into the folder; again where another job is removing that meanwhile."""
    for pause in (0.1, 0.5, 2.0):  # seconds: to remove a run's folder takes a while
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return write()
        except FileNotFoundError:
            time.sleep(pause)
    folder.mkdir(parents=True, exist_ok=True)
    return write()


def _describe(error: BaseException, phase: str) -> dict[str, Any]:
    """The error for the record: where it happened, without any folder of this machine."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    where = [f"{Path(f.filename).name}:{f.lineno} in {f.name}: {f.line or ''}" for f in frames]
    found = {"type": type(error).__name__, "phase": phase, "traceback": [environment.without_paths(w) for w in where]}
    return found | ({"errno": error.errno} if isinstance(error, OSError) else {})
