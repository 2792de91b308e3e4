"""Scores a submission exactly as a board scores its own models, and looks for what should not be there.

Tier A: the samples that were sent. Tier B: samples drawn from the weights with the board's streams. Tier C: the class,
trained over the board's seeds. All three end in records with the metrics of the board.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganbench import runner, seeding
from ganbench.boards.board import Board, Task
from ganbench.boards.rank import estimate
from ganbench.boards.standings import Record as Row
from ganbench.boards.submission import BADGES, Submission
from ganbench.data import Split
from ganbench.datasets.base import Dataset
from ganbench.errors import BadInput, NotApplicable
from ganbench.jobs import Job, JobSpec, budget_for
from ganbench.make import effective_config, make, model_class
from ganbench.records import SCHEMA, MetricRow, Record
from ganbench.registry import DATASETS, METRICS, MODELS
from ganbench.samples_io import file_sha256, read_samples, safetensors_header
from ganbench.scoring import Inputs, Workplace, score_all
from ganbench.source import code_sha256

NEAR = 0.05  # a copy is closer to a real event than this share of the usual distance between real neighbours
COPIES = 0.1  # share of copies, beyond what held-out data shows, above which samples are refused
LOOKED_AT = 2000  # samples that the search for copies takes per file
SAME = 0.01  # relative difference at which a claim or a stored score still counts as confirmed


@dataclass
class Measurement:
    """What came of a submission: its records, and what a reader of the board must know."""

    records: list[dict[str, Any]] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)  # the checks, in words


def measure(
    submission: Submission,
    folder: Path,
    board: Board,
    records: Sequence[Row] = (),
    *,
    place: Workplace | None = None,
    data_dir: str | None = None,
    run_code: bool = False,
) -> Measurement:
    """Every check that needs the files, then the scores. `records` are the board's own, for its oracle row.

    Code of tier C runs only with `run_code`. Raises `BadInput` with the reason for whatever is refused,
    `MissingResource` when the data or the scorer's weights are not on this machine.
    """
    place = place or Workplace()
    out = Measurement()
    check_against(board, submission)
    out.passed.append(f"board {board.id}, protocol {board.protocol}, tier {submission.tier}")
    if submission.tier == "claim":
        return out
    if submission.tier == "code":
        _retrain(submission, folder, board, place, data_dir, run_code, out)
    else:
        _score_files(submission, folder, board, place, data_dir, out)
    if out.records:
        confirm_claims(submission, out.records)
        out.passed += ["claimed values are those measured"] if submission.claimed else []
        out.flags += list(better_than_real(board, out.records, records))
        for record in out.records:
            record["flags"] = out.flags
    return out


def check_against(board: Board, submission: Submission) -> None:
    """Whether the submission is for this board, with data sets and metrics that it has. Raises `BadInput`."""
    if submission.board != board.id:
        raise BadInput(f"the submission is for board {submission.board!r}; this is {board.id!r}")
    if submission.protocol != board.protocol:
        raise BadInput(
            f"the submission follows protocol {submission.protocol}; board {board.id} is of protocol {board.protocol}: "
            "score it again under that protocol"
        )
    if board.by_labels and submission.tier != "claim":
        raise BadInput(
            f"board {board.id} compares classifiers that saw few labels, which neither samples nor weights show: "
            "register the model and run `ganbench run --suite ssl`, or send a claim"
        )
    for f in submission.files:
        board.task(f.dataset)
    known = {m.name for m in board.metrics}
    for claim in submission.claimed:
        board.task(claim.dataset)
        if claim.metric not in known:
            raise BadInput(f"claimed {claim.metric!r} is no metric of board {board.id}: {', '.join(sorted(known))}")


def _score_files(
    submission: Submission, folder: Path, board: Board, place: Workplace, data_dir: str | None, out: Measurement
) -> None:
    seen: dict[str, str] = {}
    for task in board.tasks:
        files = sorted((f for f in submission.files if f.dataset == task.dataset), key=lambda f: f.seed)
        if not files:
            continue
        dataset = place.dataset(task.dataset, data_dir)
        n = samples_wanted(task, dataset)
        for f in files:
            path = folder / f.path
            if f.sha256 is not None and (digest := file_sha256(path)) != f.sha256:
                raise BadInput(f"{f.path} has sha256 {digest[:12]}..., submission.toml says {f.sha256[:12]}...")
            spec = job_spec(submission, board, task, f.seed, n)
            if submission.tier == "samples":
                x = read_samples(path, dataset.spec, n)
            else:
                x = draw_from_weights(submission, path, spec, dataset)
            digest = hashlib.sha256(x.numpy().tobytes()).hexdigest()
            if digest in seen:
                raise BadInput(f"{f.path} and {seen[digest]} hold the same samples; each seed is a training of its own")
            seen[digest] = f.path
            refuse_copies(x, dataset, f.path)
            record = make_record(submission, spec, score(x, dataset, task, board, spec, place), digest)
            if submission.tier == "weights" and submission.model is not None:
                sent = model_class(submission.model.name).configure(dataset.spec, **submission.model.config)
                record["config"] = effective_config(sent)
            out.records.append(record)
        out.passed.append(f"{task.dataset}: {len(files)} seeds of n = {n}, no copies of real data")


def samples_wanted(task: Task, dataset: Dataset) -> int:
    """How many samples a file must hold: the task's n, which the test split must allow. Raises `BadInput`."""
    if dataset.spec.n_eval and task.n > dataset.spec.n_eval:
        raise BadInput(
            f"the board asks for n = {task.n} on {task.dataset}, whose protocol allows {dataset.spec.n_eval}"
        )
    return task.n


def score(
    x: Tensor, dataset: Dataset, task: Task, board: Board, spec: JobSpec, place: Workplace
) -> list[dict[str, Any]]:
    """The board's metrics on samples (N, *E). Raises `BadInput` when the primary one cannot be computed."""
    inputs = Inputs(place, task.dataset, dataset, len(x), spec.seed, samples=x)
    rows, missing = score_all(spec.metrics, inputs)
    primary = board.primary(task).name
    if not any(r["name"] == primary for r in rows):
        reason = next((m["reason"] for m in missing if m["name"] == primary), "no value came back")
        raise BadInput(f"{primary} cannot be computed on {task.dataset}: {reason}")
    return rows


def job_spec(submission: Submission, board: Board, task: Task, seed: int, n: int) -> JobSpec:
    """What was scored, as a spec: the submission stands where a model's name would."""
    return JobSpec(
        model=submission.id,
        dataset=task.dataset,
        scale=board.scale,
        seed=seed,
        metrics=metric_functions(board),
        n_samples=n,
        versions={"protocol": board.protocol, "dataset": str(DATASETS.get(task.dataset).meta.get("version", 1))},
    )


def metric_functions(board: Board) -> tuple[str, ...]:
    """The registered metrics that give the board's columns: its own name, or the one that returns it among others."""
    found: list[str] = []
    for m in board.metrics:
        if m.name in METRICS.entries:
            found.append(m.name)
        else:
            found += [e.name for e in METRICS if m.name in e.meta.get("returns", ())][:1] or [METRICS.get(m.name).name]
    return tuple(dict.fromkeys(found))


def make_record(
    submission: Submission, spec: JobSpec, metrics: Sequence[Mapping[str, Any]], samples_sha256: str
) -> dict[str, Any]:
    """A record of one seed's scores; the same samples give the same record."""
    rows = [MetricRow(**{**m, "seconds": None}) for m in metrics]
    record = Record(schema=SCHEMA, job_id=spec.job_id, status="ok", spec=spec, metrics=rows)
    value: dict[str, Any] = record.model_dump(mode="json", by_alias=True)
    return value | {"origin": "submission", "verified": BADGES[submission.tier], "samples_sha256": samples_sha256}


def draw_from_weights(submission: Submission, path: Path, spec: JobSpec, dataset: Dataset) -> Tensor:
    """Samples (N, *E) of a registered model with the weights in `path`, drawn from the board's streams.

    Raises `BadInput` when the weights are not those of the model with this config.
    """
    from safetensors.torch import load_file

    assert submission.model is not None
    name = submission.model.name
    entry = MODELS.entries.get(name)
    if entry is None:
        raise BadInput(f"weights need a registered model; {name!r} is none: see `ganbench list models`, or send code")
    if entry.meta.get("family") == "control":
        raise BadInput(f"{name} is a control; controls are on every board and are not submitted")
    model = make(name, dataset.spec, submission.model.config, (name, dataset.spec.name, spec.seed))
    want = model.state_dict()
    if not want:
        raise NotApplicable(f"{name} keeps no weights; send samples or code")
    header = safetensors_header(path, 1 << 22)
    for key in sorted(want.keys() | header.keys()):
        got = header[key].shape if key in header else None
        wanted = tuple(want[key].shape) if key in want else None
        if got != wanted:
            raise BadInput(
                f"{path.name} is not a {name} with this config: {key[:80]!r} is "
                f"{'absent' if got is None else got}, should be {'absent' if wanted is None else wanted}"
            )
    try:
        weights = load_file(path)
    except Exception as error:
        raise BadInput(f"{path.name} is not readable as safetensors: {type(error).__name__}") from None
    for key, tensor in weights.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BadInput(f"{path.name}: {key!r} holds NaN or infinity")
    model.load_state_dict(weights)
    model.eval()
    x = runner.draw(model, dataset, spec.n_samples, spec, torch.device("cpu"))
    return runner.check_samples(x, dataset.spec)


def _retrain(
    submission: Submission,
    folder: Path,
    board: Board,
    place: Workplace,
    data_dir: str | None,
    run_code: bool,
    out: Measurement,
) -> None:
    assert submission.model is not None
    reference = submission.model.name
    if ".py" in reference:
        file, colon, attribute = reference.partition(":")
        path = folder / file
        if not colon or not attribute or "/" in file or path.is_symlink() or not path.is_file():
            raise BadInput(f"code is file.py:Class with the file in the submission's folder; got {reference!r}")
        reference = f"{path}:{attribute}"
    entry = MODELS.get(reference)  # read with ast: nothing has run yet
    if entry.meta.get("family") == "control":
        raise BadInput(f"{entry.name} is a control; controls are on every board and are not submitted")
    out.passed.append(f"{entry.name} is registered as a model in {entry.source.name}")
    if not run_code:
        out.flags.append("not retrained: its code runs only with --run-code, after somebody has read it")
        return
    seeds = submission.model.seeds or board.min_seeds
    for task in board.tasks:
        dataset = place.dataset(task.dataset, data_dir)
        for seed in range(seeds):
            spec = JobSpec(
                model=submission.id,
                config=submission.model.config,
                dataset=task.dataset,
                scale=board.scale,
                budget=budget_for(DATASETS.get(task.dataset), board.scale),
                seed=seed,
                metrics=metric_functions(board),
                n_samples=samples_wanted(task, dataset),
                versions={"protocol": board.protocol, "dataset": str(dataset.spec.version)},
                code_sha256=code_sha256(entry),
            )
            record = runner.run_job(Job(spec, reference, task.dataset, data_dir), place)
            value = record.model_dump(mode="json", by_alias=True)
            out.records.append(value | {"origin": "submission", "verified": BADGES["code"]})
    bad = [r for r in out.records if r["status"] not in ("ok", "diverged")]
    if len(bad) == len(out.records):
        raise BadInput(f"{entry.name} does not train: {bad[0]['status']}: {bad[0]['reason']}")
    out.passed.append(f"retrained with {seeds} seeds on {len(board.tasks)} tasks")


def refuse_copies(x: Tensor, dataset: Dataset, name: str) -> None:
    """Raises `BadInput` when many samples are real events: of the training, held-out or test split."""
    rows = torch.randperm(len(x), generator=seeding.stream("metrics", "copies"))[:LOOKED_AT]
    for split_name in ("train", "holdout", "test"):
        split: Split = getattr(dataset, split_name)
        other = dataset.test if split_name == "holdout" else dataset.holdout
        if not len(split) or not len(other):
            continue
        share = copied_share(x[rows], split.events(), other.events(slice(0, LOOKED_AT)))
        if share > COPIES:
            raise BadInput(
                f"{name}: {share:.0%} of the samples are copies of {split_name} events of {dataset.spec.name}; "
                "a generator must not return its data"
            )


def copied_share(x: Tensor, real: Tensor, fresh: Tensor) -> float:
    """Share of x (N, *E) that lies on `real` (M, *E), less what `fresh` real events (K, *E) show by chance."""
    usual = nearest(fresh, real)
    near = NEAR * float(usual.median())
    return float((nearest(x, real) <= near).double().mean() - (usual <= near).double().mean())


def nearest(x: Tensor, real: Tensor) -> Tensor:
    """Euclidean distance of each row of x to the nearest of `real`: (N, *E), (M, *E) -> (N,), in blocks."""
    a, b = x.flatten(1), real.flatten(1)
    exact = a.shape[1] <= 64  # few dimensions: direct differences; many: the fast product form is precise enough
    if exact:
        a, b = a.double(), b.double()
    mode = "donot_use_mm_for_euclid_dist" if exact else "use_mm_for_euclid_dist"
    best = torch.full((len(a),), math.inf, dtype=a.dtype)
    for part in b.split(max(1, (1 << 23) // len(a))):
        best = torch.minimum(best, torch.cdist(a, part, compute_mode=mode).amin(1))
    return best


def confirm_claims(submission: Submission, records: Sequence[Row]) -> None:
    """Claimed means against measured ones. Raises `BadInput` for the first that differs.

    The same samples must give the same value to 1 %; redrawn or retrained ones may differ by four standard errors more.
    """
    for claim in submission.claimed:
        values = _values(records, claim.dataset, claim.metric)
        if not values:
            raise BadInput(f"claimed {claim.metric} on {claim.dataset} was not measured: no samples for it")
        e = estimate(values)
        room = SAME * max(abs(e.mean), usual_error(records, claim.dataset, claim.metric))
        if submission.tier != "samples" and e.sd is not None:
            room += 4 * e.sd / math.sqrt(e.n)
        if abs(e.mean - claim.value) > room:
            raise BadInput(
                f"claimed {claim.metric} = {claim.value:.6g} on {claim.dataset}; measured {e.mean:.6g} "
                f"over {e.n} seeds: state what `ganbench score` prints, or send the samples that gave it"
            )


def better_than_real(board: Board, measured: Sequence[Row], own: Sequence[Row]) -> Iterator[str]:
    """Alarms for tasks on which a submission beats held-out real data by more than chance."""
    from scipy import stats

    for task in board.tasks:
        m = board.primary(task)
        real = [r for r in own if r["spec"]["model"] == "control_oracle"]
        oracle = _values(real, task.dataset, m.name)
        values = _values(measured, task.dataset, m.name)
        if not values or len(oracle) < 2:
            continue
        sign = 1.0 if m.direction == "min" else -1.0
        lead = sign * (float(np.mean(oracle)) - float(np.mean(values)))
        # On finite data the oracle is one set of events, whatever the seed: then sampling error is all its error.
        sd = max(float(np.std(oracle, ddof=1)), usual_error(real, task.dataset, m.name))
        spread = sd * math.sqrt(1 / len(values) + 1 / len(oracle))
        if lead > stats.t.ppf(0.995, len(oracle) - 1) * spread and lead > SAME * abs(float(np.mean(oracle))):
            yield (
                f"better than real data on {task.dataset}: {m.name} {np.mean(values):.4g} against "
                f"{np.mean(oracle):.4g}; look for a leak"
            )


def usual_error(records: Sequence[Row], dataset: str, metric: str) -> float:
    """The largest standard error of a metric's values: what "small" means for a metric that can be zero."""
    rows = [m for r in records if r["spec"]["dataset"] == dataset for m in r["metrics"] if m["name"] == metric]
    return max((float(m["se"]) for m in rows if m.get("se")), default=1e-6)


def _values(records: Sequence[Row], dataset: str, metric: str) -> list[float]:
    return [
        float(m["value"])
        for r in records
        if r["spec"]["dataset"] == dataset and r["status"] == "ok"
        for m in r["metrics"]
        if m["name"] == metric
    ]
