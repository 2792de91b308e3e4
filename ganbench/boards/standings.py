"""From records to standings: who entered, what each reached on each task, how many seeds, what is missing.

The `status` of a record decides how it counts: `ok` is a value, `diverged` is a result and counts as the worst,
anything else is missing. Everything here is a pure function that does not depend on the order of the records.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ganbench.boards.board import Board, Metric, Task
from ganbench.boards.bounds import bounds
from ganbench.boards.rank import impute_worst, overall, tie_letters
from ganbench.errors import BadInput
from ganbench.jobs.records import MetricRow, Record
from ganbench.report.label_counts import SVM, reached
from ganbench.stats import Estimate, Rank, estimate

GIVEN = "given density"  # the badge of methods that know the law, on boards of learners


@dataclass(frozen=True)
class Entry:
    """One row: a model with its config overrides, or a submission."""

    key: str  # identity, and what is sorted and drawn by
    label: str
    family: str = ""
    badge: str = "baseline"  # or claimed, re-scored, re-sampled, retrained for submissions
    flags: tuple[str, ...] = ()  # what a reader must know, such as "better than real data on digits"
    claimed: Mapping[tuple[str, str], float] = field(default_factory=dict)  # (data set, metric) -> value
    model: str = ""  # its registered name; empty for a submission
    method: str = ""  # what published values of it are filed under, on boards of few labels

    @property
    def control(self) -> bool:
        """Shown on boards and never ranked: control rows, and methods that know the law, beside learners."""
        return self.family == "control" or self.badge == GIVEN


Submitted = tuple[Entry, Sequence[Record]]


@dataclass(frozen=True)
class Standing:
    """What an entry reached, and its place when its task set is complete."""

    entry: Entry
    estimates: Mapping[tuple[str, str], Estimate]  # (data set, metric) -> over seeds
    cost: Mapping[str, Estimate]  # data set -> training seconds over seeds
    devices: Mapping[str, str] = field(default_factory=dict)  # data set -> where it was trained: cpu, cuda
    versions: Mapping[str, str] = field(default_factory=dict)  # data set -> version of the model that was trained
    missing: tuple[str, ...] = ()  # why it is incomplete, one reason a task
    letters: Mapping[str, str] = field(default_factory=dict)  # data set -> tie group
    places: Mapping[str, Rank] = field(default_factory=dict)  # data set -> place on this task
    ranked_by: Mapping[str, float] = field(default_factory=dict)  # data set -> the mean with diverged seeds counted
    rank: Rank | None = None


def latest(records: Iterable[Record]) -> list[Record]:
    """One record per job: of several attempts the last `ok` one, else the last."""
    kept: dict[str, Record] = {}
    for record in records:
        before = kept.get(record.job_id)
        if before is None or record.status == "ok" or before.status != "ok":
            kept[record.job_id] = record
    return list(kept.values())


def standings(
    board: Board,
    records: Iterable[Record],
    family: Callable[[str], str] = lambda model: "control" if model.startswith("control_") else "",
    submissions: Sequence[Submitted] = (),
) -> list[Standing]:
    """The board's rows: ranked by place, then incomplete ones, then controls, then claims.

    `family` maps a model name to its family. Raises `BadInput` when records cannot stand on one board: another
    protocol, mixed metric signatures, sample sizes, budgets, data or model versions, or two records for one seed.
    """
    groups = _own(board, records, family)
    own = [r for _, rs in groups.values() for r in rs]
    for entry, theirs in submissions:
        groups[entry.key] = (entry, [r for r in latest(theirs) if board.admits(r.spec)])
    _check_comparable(board, own, [r for _, rs in groups.values() for r in rs])
    rows = [_row(board, entry, rs) for entry, rs in groups.values()]
    return _place(board, sorted(rows, key=lambda pair: pair[0].entry.key))


def sort_out(
    board: Board, records: Iterable[Record], submissions: Sequence[Submitted]
) -> tuple[list[Submitted], dict[str, str]]:
    """The submissions that can stand on the board, and why others cannot, by key: one bad one must not stop all.

    Where two contradict each other and the board's own records do not decide, the first stands.
    """
    own = [r for _, rs in _own(board, records, lambda model: "").values() for r in rs]
    kept: list[Submitted] = []
    left_out: dict[str, str] = {}
    for entry, theirs in submissions:
        try:
            admitted = [r for r in latest(theirs) if board.admits(r.spec)]
            if len(admitted) < len(theirs):
                raise BadInput("its records are not one for each seed of the board's tasks, at its scale")
            _check_comparable(board, own, [*own, *(r for _, rs in kept for r in rs), *admitted])
            _row(board, entry, admitted)
        except BadInput as error:
            left_out[entry.key] = str(error)
        else:
            kept.append((entry, theirs))
    return kept, left_out


def _own(
    board: Board, records: Iterable[Record], family: Callable[[str], str]
) -> dict[str, tuple[Entry, list[Record]]]:
    """The board's own records by row."""
    groups: dict[str, tuple[Entry, list[Record]]] = {}
    for record in latest(records):
        for label, badge, method, seen in views(board, record) if board.admits(record.spec) else ():
            model = record.spec.model
            kin = family(model)
            badge = GIVEN if kin == "given_density" and not board.given_density else badge
            entry = Entry(label, label, kin, badge, model=model, method=method)
            groups.setdefault(label, (entry, []))[1].append(seen)
    return groups


def views(board: Board, record: Record) -> Iterator[tuple[str, str, str, Record]]:
    """A record as the board sees it: row, badge, method and a record of one of its tasks.

    On a board of few labels a record of a frozen model, which holds an error for each number of labels, is one of each
    task; errors are counted of 10,000, and what ran a published recipe in full is a row of its own.
    """
    spec = record.spec
    if not board.by_labels:
        yield spec.row, "baseline", "", record
        return
    if spec.draw is not None:  # a member of ensembles: its seeds share one draw of the labels
        return
    suffix, badge = (", full recipe", "full recipe") if spec.scale == "paper" else ("", "shortened")
    plain = spec.but(config={}, recipe=None, labels=None).row
    found: dict[tuple[str, int], list[MetricRow]] = {}
    for r in reached(record) if record.status == "ok" else ():
        changed = {"name": "errors_of_10000" + ("_last" if r.last else ""), "value": 1e4 * r.score.value}
        found.setdefault((r.method, r.labels), []).append(r.score.model_copy(update=changed))
    if record.status != "ok":  # it counts as diverged or missing where it would have stood
        method = spec.but(labels=None).row + ("" if spec.labels else SVM)
        counts = [spec.labels] if spec.labels else spec.label_counts or [t.labels for t in board.tasks if t.labels]
        found = {(method, n): [] for n in counts}
    tasks = {t.labels: t.key for t in board.tasks if t.dataset == spec.dataset}
    for (method, labels), scores in found.items():
        if labels in tasks:
            seen = record.model_copy(update={"spec": spec.but(dataset=tasks[labels]), "metrics": scores})
            yield method + suffix, badge, plain + (SVM if method.endswith(SVM) else ""), seen


def _row(board: Board, entry: Entry, records: Sequence[Record]) -> tuple[Standing, dict[str, tuple[list[float], int]]]:
    """A standing without ranks, and task -> (primary value per seed, diverged seeds)."""
    by_task: dict[str, dict[int, Record]] = defaultdict(dict)
    for record in records:
        spec = record.spec
        if spec.seed in by_task[spec.dataset]:
            raise BadInput(
                f"board {board.id} holds two records for {entry.label} on {spec.dataset}, seed {spec.seed}: "
                "other code or other settings; keep one of them"
            )
        by_task[spec.dataset][spec.seed] = record
    estimates: dict[tuple[str, str], Estimate] = {}
    cost: dict[str, Estimate] = {}
    devices: dict[str, str] = {}
    trained: dict[str, str] = {}
    primary: dict[str, tuple[list[float], int]] = {}
    missing = []
    level = 1 - board.ranking.alpha
    for task in board.tasks:
        seeds = by_task.get(task.key, {})
        versions = {str(r.spec.versions.get("model")) for r in seeds.values()}
        if len(versions) > 1:
            found = ", ".join(sorted(versions))
            raise BadInput(
                f"board {board.id} holds seeds of {entry.label} on {task.key} at model versions {found}; "
                "run the older ones again"
            )
        if versions - {"None"}:
            trained[task.key] = next(iter(versions))
        lost = sum(r.status == "diverged" for r in seeds.values())
        good = [r for r in seeds.values() if r.status == "ok"]
        for m in board.metrics:
            values = [s.value for r in good if (s := r.score(m.name)) is not None]
            if values or lost:
                estimates[task.key, m.name] = estimate(values, lost, level, bounds(m.name, task.dataset))
            if m == board.primary(task):
                primary[task.key] = (values, lost)
        timed = [r for r in good if "train_s" in r.timing]
        if timed:
            cost[task.key] = estimate([r.timing["train_s"] for r in timed], level=level)
            devices[task.key] = ", ".join(sorted({r.spec.device for r in timed}))
        done = len(primary[task.key][0]) + lost
        if done < board.min_seeds:
            missing.append(_shortfall(task, board.primary(task), seeds.values(), done, board.min_seeds))
    return Standing(entry, estimates, cost, devices, trained, tuple(missing)), primary


def _place(board: Board, rows: Sequence[tuple[Standing, dict[str, tuple[list[float], int]]]]) -> list[Standing]:
    ranked = {
        s.entry.key: primary
        for s, primary in rows
        if not s.missing and not s.entry.control and s.entry.badge != "claimed"
    }
    table: dict[str, tuple[str, dict[str, list[float]]]] = {}
    letters: dict[str, dict[str, str]] = {}
    for task in board.tasks:
        direction = board.primary(task).direction
        values = {key: p[task.key][0] for key, p in ranked.items()}
        filled = impute_worst(values, {key: p[task.key][1] for key, p in ranked.items()}, direction)
        table[task.key] = (direction, filled)
        letters[task.key] = tie_letters(filled, direction, board.ranking.alpha)
    rule = board.ranking
    ranks = overall(table, rule.alpha, rule.draws)
    places = {d: overall({d: column}, rule.alpha, rule.draws) for d, column in table.items()}
    out = [
        replace(
            s,
            letters={d: found[key] for d, found in letters.items() if key in found},
            places={d: found[key] for d, found in places.items() if key in found},
            ranked_by={d: estimate(column[key]).mean for d, (_, column) in table.items() if key in column},
            rank=ranks.get(key),
        )
        for s, _ in rows
        for key in [s.entry.key]
    ]
    return sorted(out, key=lambda s: (_block(s), s.rank.mean_rank if s.rank else len(s.missing), s.entry.key))


def _block(s: Standing) -> int:
    """Ranked rows first, then incomplete ones, controls, claims."""
    return 3 if s.entry.badge == "claimed" else 2 if s.entry.control else 0 if s.rank else 1


def block_name(s: Standing) -> str:
    """ranked, incomplete, control or claimed."""
    return ("ranked", "incomplete", "control", "claimed")[_block(s)]


def _check_comparable(board: Board, own: Sequence[Record], everyone: Sequence[Record]) -> None:
    for task in board.tasks:
        here = [r for r in own if r.spec.dataset == task.key and r.spec.scale == board.scale]
        _one(board, f"training budgets on {task.key}", [(r, r.spec.budget) for r in here])
        _one(board, f"data versions on {task.key}", [(r, r.spec.versions.get("dataset")) for r in here])
        ok = [r for r in everyone if r.spec.dataset == task.key and r.status == "ok"]
        for m in board.metrics:
            found = [(r, s) for r in ok if (s := r.score(m.name)) is not None]
            _one(board, f"signatures of {m.name} on {task.key}", [(r, s.signature) for r, s in found])
            _one(board, f"sample sizes of {m.name} on {task.key}", [(r, s.n) for r, s in found])
            for r, s in found:
                _check_score(board, task, m, r, s)


def _check_score(board: Board, task: Task, m: Metric, record: Record, score: MetricRow) -> None:
    where = f"{m.name} of {record.spec.row} on {task.key}"
    pinned = m.signatures.get(task.key)
    for what, wanted, got in (
        ("signature", pinned, score.signature),
        ("n", task.n if m == board.primary(task) else None, score.n),
        ("direction", m.direction, score.direction),
    ):
        if wanted is not None and got != wanted:
            raise BadInput(f"board {board.id} admits {what} {wanted!r} only; {where} has {got!r}; score it again")


def _one(board: Board, what: str, found: Sequence[tuple[Record, Any]]) -> None:
    """Refuses a column in which two kinds of numbers meet. Raises `BadInput` that names one of each."""
    kinds: dict[str, Record] = {}
    for record, value in found:
        kinds.setdefault(json.dumps(value, sort_keys=True), record)
    if len(kinds) > 1:
        counts = Counter(json.dumps(v, sort_keys=True) for _, v in found)
        seen = "; ".join(f"{k} ({counts[k]} records, e.g. {kinds[k].spec.row})" for k in sorted(kinds))
        raise BadInput(f"board {board.id} does not mix {what}: {seen}; rerun or score again so that they agree")


def _shortfall(task: Task, primary: Metric, records: Collection[Record], done: int, wanted: int) -> str:
    failed = [r for r in records if not r.final]
    reasons = Counter(f"{r.status}: {r.reason or 'no reason given'}" for r in failed)
    why = f" ({reasons.most_common(1)[0][0]})" if reasons else ""
    if records and not reasons and done == 0:
        why = f" (scored without {primary.name})"
    return f"{task.key}: {done} of {wanted} seeds{why}"
