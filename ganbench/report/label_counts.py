"""Errors over numbers of labels: classifiers trained on few labels and SVMs on frozen features in one table.

A record of a classifier speaks of one number of labels, one of a frozen model of several; here both become curves. Each
seed is one draw of the labels and one training, so the interval over seeds is that over draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ganbench.jobs.records import MetricRow, Record
from ganbench.registry import METRICS
from ganbench.report.table import Column, Row, Table, Text, to_markdown, visible

NOTE = (
    "Errors of 10,000 test examples (and per cent): mean [95 % Student-t interval] over seeds, each a draw of the "
    "labels and a training of its own."
)
LAST = ", last weights"
SVM = " + L2-SVM"


@dataclass(frozen=True)
class Reached:
    """One test error: who reached it with how many labels."""

    method: str
    labels: int
    score: MetricRow
    last: bool = False  # of the last iterate, where the classifier averages weights


@dataclass(frozen=True)
class Curve:
    """The test errors of one method on one data set."""

    dataset: str
    scale: str
    method: str
    errors: dict[int, list[float]] = field(default_factory=dict)  # labels -> share wrong, a value a seed


def reached(record: Record) -> Iterator[Reached]:
    """The test errors that a record holds, if it says with how many labels."""
    labels, method = record.spec.labels, record.spec.but(labels=None).row
    for score in record.metrics:
        name, _, number = score.name.rpartition("_")
        if number.isdigit() and name in error_metrics("frozen"):
            yield Reached(method + SVM, int(number), score)
        elif labels and score.name in error_metrics("seen"):
            yield Reached(method, labels, score, score.name.endswith("_last"))


@cache
def error_metrics(labels: str) -> tuple[str, ...]:
    """Names of the scores that are test errors over numbers of labels: of labels "seen", or of "frozen" features."""
    return tuple(s for entry in METRICS if entry.by_labels == labels for s in entry.returns or (entry.name,))


def curves(records: Iterable[Record]) -> list[Curve]:
    """A curve for each method, data set and scale, in the order in which they appear."""
    found: dict[tuple[str, str, str], Curve] = {}
    for record in records:
        for r in reached(record) if record.status == "ok" else ():
            key = (record.spec.dataset, record.spec.scale, r.method + (LAST if r.last else ""))
            found.setdefault(key, Curve(*key)).errors.setdefault(r.labels, []).append(r.score.value)
    return list(found.values())


def tables(found: Iterable[Curve]) -> list[Table]:
    """One table per data set and scale: methods down, numbers of labels across."""
    groups: dict[tuple[str, str], list[Curve]] = {}
    for curve in found:
        groups.setdefault((curve.dataset, curve.scale), []).append(curve)
    made = []
    for (dataset, scale), group in groups.items():
        counts = sorted({n for c in group for n in c.errors})
        seeds = max(len(v) for c in group for v in c.errors.values())
        rows = [Row("row", [Text(c.method), *(Text(cell(c.errors.get(n, ()), seeds)) for n in counts)]) for c in group]
        title = f"{dataset}, scale {scale}: errors of 10,000 by number of labels (n = {seeds})"
        columns = [Column("method", "method"), *(Column(str(n), f"{n} labels") for n in counts)]
        made.append(Table(f"{dataset}-{scale}-labels", title, columns, rows, [NOTE]))
    return made


def cell(errors: Iterable[float], usual: int) -> str:
    """`93.2 [88.5, 97.9] 0.93 %`; without an interval under 3 seeds."""
    from ganbench.stats import estimate

    values = [1e4 * e for e in errors]
    if not values:
        return "–"
    e = estimate(values)
    text = f"{e.mean:.1f}" if e.low is None or e.high is None else f"{e.mean:.1f} [{e.low:.1f}, {e.high:.1f}]"
    return f"{text} {e.mean / 100:.2f} %" + ("" if e.n == usual else f" (n = {e.n})")


def markdown(made: Iterable[Table]) -> str:
    """The tables with the note that says how to read them; empty for none."""
    parts = [f"## {visible(t.title)}\n\n{to_markdown(t)}" for t in made]
    return "\n".join([*parts, NOTE, ""]) if parts else ""


def json_ready(found: Iterable[Curve]) -> list[dict[str, Any]]:
    """Curves as plain data: errors per seed for each number of labels."""
    return [vars(c) | {"errors": {str(n): v for n, v in sorted(c.errors.items())}} for c in found]
