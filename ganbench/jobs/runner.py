"""The page to read first: `run_job` takes one job from data to a record, and nothing raises past it.

load the data -> build the model -> train -> sample -> check the samples once -> score -> write what is worth keeping.
Streams (see `ganbench.seeding`): latent draws and metric draws depend on (data set, seed) alone, so that models are
compared in pairs on the same draws; initialisation and training noise depend on the model too.
"""

from __future__ import annotations

import dataclasses
import inspect
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganbench import seeding
from ganbench.data import HORIZON, DataSpec, Split
from ganbench.datasets.base import Dataset
from ganbench.datasets.labels import check_range, draw_labels
from ganbench.density import Density
from ganbench.engine.loop import Training, train
from ganbench.engine.turns import deterministic, matmul_precision
from ganbench.errors import BadInput, Diverged, MissingResource, NotApplicable
from ganbench.jobs import keep
from ganbench.jobs.plan import density_lacks
from ganbench.jobs.records import CHECKPOINT, SCHEMA, MetricRow, Record
from ganbench.jobs.spec import LABELS, Job, JobSpec
from ganbench.make import effective_config, make
from ganbench.model import Budget, Model
from ganbench.provenance import environment
from ganbench.registry import METRICS
from ganbench.scoring.inputs import Inputs, MetricFailed, Workplace, score_all

Progress = Callable[[int, float], None]
LABELLED_PER_CLASS = 10  # labels that a few-label model sees, where the data set does not say which


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
    device = pick_device(spec.device)
    with clock("sample"):
        if "sample" in model.gives:
            inputs.samples = check_samples(draw(model, dataset, inputs.n, spec, device), dataset.spec)
            inputs.sample_labels = asked_labels(model, dataset, inputs.n, spec, device)
        if "translate" in model.gives:
            made = translate(model, inputs.real("cond"), spec, device, dataset.spec)
            inputs.translated = check_samples(made, dataset.spec)
            if inputs.samples is None:  # what a law's distance looks at
                inputs.samples = inputs.translated
        if "predict" in model.gives:
            clips = inputs.real("reference")
            inputs.predicted = check_samples(predict(model, clips[:, :-HORIZON], spec, device), dataset.spec)
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


def training_data(model: Model, dataset: Dataset, spec: JobSpec) -> Split:
    """The training split with just the labels that the model registered a need for; the oracle row gets holdout."""
    if "density" in model.needs:
        return Split(dataset.train.x[:0], density=_density(model, dataset))
    if "simulator" in model.needs:
        return Split(dataset.train.x[:0], simulator=dataset.simulator)
    split = dataset.holdout if "holdout" in model.needs else dataset.train
    cond = _conditions(model, dataset, split) if "cond" in model.needs else None
    if "y" in model.needs or "labels" in model.needs:
        if split.y is None:
            raise NotApplicable(f"{spec.model} learns from labels; {spec.dataset} has none")
        if "labels" in model.needs:
            k = dataset.spec.n_classes or int(split.y.max()) + 1
            usual = LABELLED_PER_CLASS * k if split.labelled is None else len(split.labelled)
            draw = spec.seed if spec.draw is None else spec.draw
            return dataclasses.replace(split, cond=cond).with_labels(
                draw_labels(split, dataset.spec, spec.labels or usual, draw)
            )
        check_range(split.y, dataset.spec.n_classes, "training")
        return dataclasses.replace(split, cond=cond)
    return Split(split.x, cond=cond)


def _density(model: Model, dataset: Dataset) -> Density:
    """The law of a data set for a model that draws from it. Raises `NotApplicable` where it is not given, or not so."""
    density = dataset.train.density
    offers = () if density is None else density.offers
    if reason := density_lacks(model.name, model.needs, dataset.spec.name, offers):
        raise NotApplicable(reason)
    assert density is not None
    return density


def _conditions(model: Model, dataset: Dataset, split: Split) -> Tensor:
    """The conditions of a split for a model that needs them. Raises `NotApplicable` where they are not of its kind."""
    cond = dataset.spec.cond
    if cond is None or split.cond is None or (model.conditions and cond.kind not in model.conditions):
        has = "has none" if cond is None else f"has {cond.kind} conditions"
        raise NotApplicable(
            f"{model.name} makes events from {' or '.join(model.conditions)}; {dataset.spec.name} {has}"
        )
    if "pairs" in model.needs and not cond.paired:
        raise NotApplicable(f"{model.name} learns from pairs; {dataset.spec.name} is unpaired")
    return split.cond


def check_labels(spec: JobSpec, dataset: Dataset) -> None:
    """Refuse, before anything is trained, labels that the job's metrics could not use.

    Raises `BadInput` for labels out of range or counts that cannot be drawn, `NotApplicable` where no metric is left.
    """
    asked = [set(METRICS.get(name).needs) & LABELS for name in spec.metrics]
    if not any(asked):
        return
    if dataset.train.y is None or dataset.test.y is None:
        if all(asked):
            raise NotApplicable(f"{', '.join(spec.metrics)} need labels; {spec.dataset} has none")
        return
    check_range(dataset.train.y, dataset.spec.n_classes, "training")
    check_range(dataset.test.y, dataset.spec.n_classes, "test")
    for count in spec.label_counts or ():
        draw_labels(dataset.train, dataset.spec, count, spec.seed)


def draw(model: Model, dataset: Dataset, n: int, spec: JobSpec, device: torch.device) -> Tensor:
    """n samples on the CPU, (n, *E), from the streams of a job."""
    return torch.cat(list(draw_batches(model, dataset, n, (spec.dataset, spec.seed), device)))


def draw_batches(
    model: Model, dataset: Dataset, n: int, seed: tuple[object, ...], device: torch.device
) -> Iterator[Tensor]:
    """n samples on the CPU, in batches (b, *E) whose size depends on the event alone."""
    rng = seeding.stream("sampling", *seed, device=device)
    size = max(1, min(1000, (1 << 22) // dataset.spec.n_dims))
    labels = _label_draws(model, dataset, n, rng)
    with torch.no_grad(), seeding.global_stream("sampling", *seed):
        for start in range(0, n, size):
            count = min(size, n - start)
            more = () if labels is None else (labels[start : start + count],)
            out = model.sample(count, rng, *more)
            if not isinstance(out, Tensor):
                raise BadInput(f"sample({count}, rng) must return a tensor; got {type(out).__name__}")
            if tuple(out.shape) != (count, *dataset.spec.event_shape):
                want = (count, *dataset.spec.event_shape)
                raise BadInput(f"sample({count}, rng) must return shape {want}; got {tuple(out.shape)}")
            yield out.detach().to("cpu")


def asked_labels(model: Model, dataset: Dataset, n: int, spec: JobSpec, device: torch.device) -> Tensor | None:
    """The classes (n,) that `draw` asks for, on the CPU; None for a model that takes none."""
    labels = _label_draws(model, dataset, n, seeding.stream("sampling", spec.dataset, spec.seed, device=device))
    return None if labels is None else labels.to("cpu")


def translate(model: Model, cond: Tensor, spec: JobSpec, device: torch.device, data: DataSpec) -> Tensor:
    """Events made from conditions (N, *C), on the CPU, (N, *E), in batches whose size depends on the event alone."""
    parts = cond.split(max(1, min(1000, (1 << 22) // data.n_dims)))
    return _answers("translate(cond, rng)", model.translate, parts, data.event_shape, spec, device)


def predict(model: Model, frames: Tensor, spec: JobSpec, device: torch.device) -> Tensor:
    """The HORIZON frames that follow clips (N, S, C, H, W), on the CPU, in batches whose size depends on them alone."""
    parts = frames.split(max(1, min(200, (1 << 22) // frames[0].numel())))
    shape = (HORIZON, *frames.shape[2:])
    return _answers(
        f"predict(frames, {HORIZON}, rng)", lambda x, rng: model.predict(x, HORIZON, rng), parts, shape, spec, device
    )


def _answers(
    call: str,
    ask: Callable[[Tensor, torch.Generator], Tensor],
    parts: Sequence[Tensor],
    shape: tuple[int, ...],
    spec: JobSpec,
    device: torch.device,
) -> Tensor:
    """What a model answers to each part (b, ...), all of them on the CPU: (N, *shape). Raises `BadInput`."""
    rng = seeding.stream("sampling", spec.dataset, spec.seed, device=device)
    batches = []
    with torch.no_grad(), seeding.global_stream("sampling", spec.dataset, spec.seed):
        for part in parts:
            out, want = ask(part.to(device), rng), (len(part), *shape)
            if not isinstance(out, Tensor) or tuple(out.shape) != want:
                got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
                raise BadInput(f"{call} must return a tensor of shape {want}; got {got}")
            batches.append(out.detach().to("cpu"))
    return torch.cat(batches)


def check_samples(x: Tensor, spec: DataSpec) -> Tensor:
    """Samples as float32 in the domain. Raises `BadInput` for other types, NaN or infinity, or values outside it."""
    if not x.is_floating_point():
        raise BadInput(f"samples must be floating point; got {x.dtype}")
    x = x.float()
    bad = ~torch.isfinite(x).flatten(1).all(1)
    if bad.any():
        first = int(bad.nonzero()[0])
        raise BadInput(
            f"samples must be finite; {int(bad.sum())} of {len(x)} hold NaN or infinity, the first is {first}"
        )
    if spec.domain is not None:
        low, high = spec.domain
        slack = 1e-3 * (high - low)
        least, most = float(x.min()), float(x.max())
        if least < low - slack or most > high + slack:
            raise BadInput(
                f"samples must lie in [{low:g}, {high:g}]; got [{least:.4g}, {most:.4g}]; "
                "end the generator with tanh, or clamp"
            )
        x = x.clamp(low, high)
    return x


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


def _label_draws(model: Model, dataset: Dataset, n: int, rng: torch.Generator) -> Tensor | None:
    """Labels (n,) from the training marginal for models whose `sample` takes them as a third argument.

    A model that was shown a few labels, as many of every class, is asked for as many of every class.
    """
    if len(inspect.signature(model.sample).parameters) < 3 or dataset.train.y is None:
        return None
    y = dataset.train.y.unique() if "labels" in model.needs else dataset.train.y
    return y[torch.randint(len(y), (n,), generator=rng, device=rng.device).to(y.device)].to(rng.device)


def _kept_history(folder: Path | None, history: Any) -> dict[str, Any]:
    if folder is None or not history:
        return {}
    return {"history": _kept(folder, lambda: keep.history(folder, history))}


def _kept(folder: Path, write: Callable[[], Any]) -> Any:
    """What `write` returns, which puts files into the folder; again where another job has removed that meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return write()
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        return write()


def _describe(error: BaseException, phase: str) -> dict[str, Any]:
    """The error for the record: where it happened, without any folder of this machine."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    where = [f"{Path(f.filename).name}:{f.lineno} in {f.name}: {f.line or ''}" for f in frames]
    found = {"type": type(error).__name__, "phase": phase, "traceback": [environment.without_paths(w) for w in where]}
    return found | ({"errno": error.errno} if isinstance(error, OSError) else {})


def now() -> str:
    """The time as records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
