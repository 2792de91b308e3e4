"""Scores a submission exactly as a board scores its own models, and looks for what should not be there.

Tier A: the samples that were sent. Tier B: samples drawn from the weights with the board's streams. Tier C: the class,
trained over the board's seeds. All three end in records with the metrics of the board.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from ganbench.boards.alarms import better_than_real, confirm_claims
from ganbench.boards.board import Board, Task
from ganbench.boards.submission import BADGES, FileOf, Submission
from ganbench.boards.weights import draw_from_weights
from ganbench.datasets.base import Dataset
from ganbench.datasets.samples import file_sha256, read_samples
from ganbench.errors import BadInput
from ganbench.jobs import runner
from ganbench.jobs.plan import budget_for
from ganbench.jobs.records import SCHEMA, MetricRow, Record, parse_record
from ganbench.jobs.spec import Job, JobSpec
from ganbench.model.make import effective_config, model_class
from ganbench.provenance.source import code_sha256
from ganbench.registry import DATASETS, METRICS, MODELS
from ganbench.scoring.inputs import Inputs, Workplace, score_all
from ganbench.scoring.leaks import LEVEL, LOOKED_AT, copied_share, find_leaks, same_set

COPIES = 0.1  # share of copies, beyond what held-out data shows, above which samples are refused


@dataclass
class Measurement:
    """What came of a submission: its records, and what a reader of the board must know."""

    records: list[Record] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)  # the checks, in words


def measure(
    submission: Submission,
    folder: Path,
    board: Board,
    records: Sequence[Record] = (),
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
        said = {"origin": "submission", "verified": BADGES[submission.tier], "flags": out.flags}
        out.records = [parse_record(r.model_copy(update=said).to_json()) for r in out.records]
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
    for task in board.tasks:
        files = sorted((f for f in submission.files if f.dataset == task.dataset), key=lambda f: f.seed)
        if not files:
            continue
        dataset = place.dataset(task.dataset, data_dir)
        n = samples_wanted(task, dataset)
        drawn: list[Tensor] = []
        for f in files:
            path = folder / f.path
            if f.sha256 is not None and (digest := file_sha256(path)) != f.sha256:
                raise BadInput(f"{f.path} has sha256 {digest[:12]}..., submission.toml says {f.sha256[:12]}...")
            spec = job_spec(submission, board, task, f.seed, n)
            if submission.tier == "samples":
                x = read_samples(path, dataset.spec, n)
            else:
                x = draw_from_weights(submission, path, spec, dataset)
            for other, before in zip(files, drawn, strict=False):
                if same_set(before, x):
                    raise BadInput(
                        f"{f.path} and {other.path} hold nearly the same samples, whatever their order; "
                        "each seed is a training of its own"
                    )
            drawn.append(x)
        out.flags += judge(files, drawn, dataset, LEVEL / len(board.tasks))
        config = {}
        if submission.tier == "weights" and submission.model is not None:
            sent = model_class(submission.model.name).configure(dataset.spec, **submission.model.config)
            config = effective_config(sent)
        for f, x in zip(files, drawn, strict=True):
            spec = job_spec(submission, board, task, f.seed, n)
            metrics = score(x, dataset, task, board, spec, place)
            record = Record(schema=SCHEMA, job_id=spec.job_id, status="ok", spec=spec, metrics=metrics, config=config)
            digest = hashlib.sha256(x.numpy().tobytes()).hexdigest()
            out.records.append(record.model_copy(update={"samples_sha256": digest}))
        out.passed.append(f"{task.dataset}: {len(files)} seeds of n = {n}, no copies of real data")


def judge(files: Sequence[FileOf], drawn: Sequence[Tensor], dataset: Dataset, level: float) -> list[str]:
    """What a reader must know of samples that know the data too well.

    Raises `BadInput` where more than a tenth are copies: of training events, or, even moved, of those that no model
    may see.
    """
    name = dataset.spec.name
    unseen = dataset.test.events(slice(0, LOOKED_AT))
    for f, x in zip(files, drawn, strict=True):
        share = copied_share(x[:LOOKED_AT], dataset.train.events(), unseen) if len(dataset.train) and len(unseen) else 0
        if share > COPIES:
            raise BadInput(
                f"{f.path}: {share:.0%} of the samples are copies of train events of {name}; "
                "a generator must not return its data"
            )
    flags = []
    for leak in find_leaks(drawn, dataset, level):
        if leak.split != "train" and leak.share > COPIES:
            raise BadInput(
                f"{files[leak.file].path}: {leak.share:.0%} of the samples are copies of {leak.split} events of "
                f"{name}, perhaps moved: they lie nearer to them than other real events explain (p <= {leak.p:.2g})"
            )
        seed = files[leak.file].seed
        flags.append(
            f"seed {seed} on {name}: {leak.share:.0%} of the samples lie closer to {leak.split} events than other real "
            f"events explain (p <= {leak.p:.2g}): {'memorised' if leak.split == 'train' else 'look for a leak'}"
        )
    return flags


def samples_wanted(task: Task, dataset: Dataset) -> int:
    """How many samples a file must hold: the task's n, which the test split must allow. Raises `BadInput`."""
    if dataset.spec.n_eval and task.n > dataset.spec.n_eval:
        raise BadInput(
            f"the board asks for n = {task.n} on {task.dataset}, whose protocol allows {dataset.spec.n_eval}"
        )
    return task.n


def score(x: Tensor, dataset: Dataset, task: Task, board: Board, spec: JobSpec, place: Workplace) -> list[MetricRow]:
    """The board's metrics on samples (N, *E), without seconds: the same samples give the same rows.

    Raises `BadInput` when the primary one cannot be computed.
    """
    inputs = Inputs(place, task.dataset, dataset, len(x), spec.seed, samples=x)
    rows, missing = score_all(spec.metrics, inputs)
    primary = board.primary(task).name
    if not any(r["name"] == primary for r in rows):
        reason = next((m["reason"] for m in missing if m["name"] == primary), "no value came back")
        raise BadInput(f"{primary} cannot be computed on {task.dataset}: {reason}")
    return [MetricRow(**{**r, "seconds": None}) for r in rows]


def job_spec(submission: Submission, board: Board, task: Task, seed: int, n: int) -> JobSpec:
    """What was scored, as a spec: the submission stands where a model's name would."""
    return JobSpec(
        model=submission.id,
        dataset=task.dataset,
        scale=board.scale,
        seed=seed,
        metrics=metric_functions(board),
        n_samples=n,
        versions={"protocol": board.protocol, "dataset": str(DATASETS.get(task.dataset).version)},
    )


def metric_functions(board: Board) -> tuple[str, ...]:
    """The registered metrics that give the board's columns: its own name, or the one that returns it among others."""
    found: list[str] = []
    for m in board.metrics:
        if m.name in METRICS.entries:
            found.append(m.name)
        else:
            found += [e.name for e in METRICS if m.name in e.returns][:1] or [METRICS.get(m.name).name]
    return tuple(dict.fromkeys(found))


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
    if entry.family == "control":
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
            out.records.append(runner.run_job(Job(spec, reference, task.dataset, data_dir), place))
    bad = [r for r in out.records if not r.final]
    if len(bad) == len(out.records):
        raise BadInput(f"{entry.name} does not train: {bad[0].status}: {bad[0].reason}")
    out.passed.append(f"retrained with {seeds} seeds on {len(board.tasks)} tasks")
