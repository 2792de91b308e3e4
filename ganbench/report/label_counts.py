"""Errors over numbers of labels: classifiers trained on few labels and SVMs on frozen features in one table.

A record of a classifier speaks of one number of labels, one of a frozen model of several; here both become curves. Each
seed is one draw of the labels and one training, so the interval over seeds is that over draws.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ganbench.jobs.spec import row_name

NOTE = (
    "Errors of 10,000 test examples (and per cent): mean [95 % Student-t interval] over seeds, each a draw of the "
    "labels and a training of its own."
)
LAST = ", last weights"
SVM = " + L2-SVM"
FROZEN = re.compile(r"svm_error_(\d+)")


@dataclass(frozen=True)
class Reached:
    """One test error: who reached it with how many labels."""

    method: str
    labels: int
    score: Mapping[str, Any]  # a record's row: value, n, signature
    last: bool = False  # of the last iterate, where the classifier averages weights


@dataclass(frozen=True)
class Curve:
    """The test errors of one method on one data set."""

    dataset: str
    scale: str
    method: str
    errors: dict[int, list[float]] = field(default_factory=dict)  # labels -> share wrong, a value a seed


def reached(record: Mapping[str, Any]) -> Iterator[Reached]:
    """The test errors that a record (one line of results.jsonl) holds, if it says with how many labels."""
    spec = record["spec"]
    method = row_name({**spec, "labels": None})
    for score in record.get("metrics") or ():
        if score.get("value") is None:
            continue
        if found := FROZEN.fullmatch(score["name"]):
            yield Reached(method + SVM, int(found.group(1)), score)
        elif spec.get("labels") and score["name"] in ("classification_error", "classification_error_last"):
            yield Reached(method, int(spec["labels"]), score, score["name"].endswith("_last"))


def curves(records: Iterable[Mapping[str, Any]]) -> list[Curve]:
    """A curve for each method, data set and scale, in the order in which they appear."""
    found: dict[tuple[str, str, str], Curve] = {}
    for record in records:
        for r in reached(record) if record["status"] == "ok" else ():
            key = (record["spec"]["dataset"], record["spec"]["scale"], r.method + (LAST if r.last else ""))
            found.setdefault(key, Curve(*key)).errors.setdefault(r.labels, []).append(float(r.score["value"]))
    return list(found.values())


@dataclass(frozen=True)
class Table:
    """Curves of one data set at one scale, ready to print."""

    title: str
    header: list[str]
    rows: list[list[str]]


def tables(found: Iterable[Curve]) -> list[Table]:
    """One table per data set and scale: methods down, numbers of labels across."""
    groups: dict[tuple[str, str], list[Curve]] = {}
    for curve in found:
        groups.setdefault((curve.dataset, curve.scale), []).append(curve)
    made = []
    for (dataset, scale), group in groups.items():
        counts = sorted({n for c in group for n in c.errors})
        seeds = max(len(v) for c in group for v in c.errors.values())
        rows = [[c.method, *(cell(c.errors.get(n, ()), seeds) for n in counts)] for c in group]
        title = f"{dataset}, scale {scale}: errors of 10,000 by number of labels (n = {seeds})"
        made.append(Table(title, ["method", *(f"{n} labels" for n in counts)], rows))
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
    parts = []
    for t in made:
        lines = ["| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in (t.header, *t.rows)]
        parts += [f"## {t.title}", "", lines[0], "|:--|" + "--:|" * (len(t.header) - 1), *lines[1:], ""]
    return "\n".join([*parts, NOTE, ""]) if parts else ""


def json_ready(found: Iterable[Curve]) -> list[dict[str, Any]]:
    """Curves as plain data: errors per seed for each number of labels."""
    return [vars(c) | {"errors": {str(n): v for n, v in sorted(c.errors.items())}} for c in found]
