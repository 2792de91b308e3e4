"""The plain table of a run: one a data set, rows of `JobSpec.row` down by their first score, means over seeds, n."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganbench.jobs.records import MetricRow, Record
from ganbench.report.columns import columns
from ganbench.report.table import Column, Row, Spread, Table, Text, to_markdown, visible

NOTE = "Mean ± standard deviation over training seeds; n: seeds scored (of those run); real vs real: the floor."


@dataclass(frozen=True)
class Mean:
    """A metric over the seeds of one row."""

    mean: float
    sd: float | None  # over training seeds; None for one seed
    n: int


@dataclass
class Line:
    """One model, with the settings and the number of labels that set it apart."""

    name: str
    seeds: int  # with a score
    planned: int
    cells: dict[str, Mean] = field(default_factory=dict)
    train_s: float | None = None


@dataclass
class Pivot:
    """One data set at one scale."""

    dataset: str
    scale: str
    columns: dict[str, str]  # metric -> direction
    rows: list[Line]
    floors: dict[str, Mean]  # the metric on real against real
    seeds: int


def pivot(records: Iterable[Record]) -> list[Pivot]:
    """Tables from records, in the order in which data sets, models and metrics first appear."""
    groups: dict[tuple[str, str], dict[str, list[Record]]] = {}
    for record in records:
        if record.status != "skipped":
            models = groups.setdefault((record.spec.dataset, record.spec.scale), {})
            models.setdefault(record.spec.row, []).append(record)
    return [_table(dataset, scale, models) for (dataset, scale), models in groups.items()]


def _table(dataset: str, scale: str, models: dict[str, list[Record]]) -> Pivot:
    every = [r for rs in models.values() for r in rs]
    order = {m: i for r in every for i, m in enumerate(r.spec.metrics)}
    column = columns((dataset, m.name, m.signature) for r in every for m in r.metrics)

    def place(m: MetricRow) -> str:
        return column[dataset, m.name, m.signature]

    found: dict[str, str] = {place(m): m.direction for r in every for m in r.metrics}
    names = sorted(found, key=lambda m: _rank(m, order))
    floors = {place(m): m.floor for r in every for m in r.metrics if m.floor is not None}
    rows = []
    for name, records in models.items():
        good = [r for r in records if r.status == "ok"]
        values = {m: [x.value for r in good for x in r.metrics if place(x) == m] for m in names}
        seconds = [r.timing["train_s"] for r in good if "train_s" in r.timing]
        cells = {m: cell(v) for m, v in values.items() if v}
        rows.append(Line(name, len(good), len(records), cells, sum(seconds) / len(seconds) if seconds else None))
    if names:
        rows.sort(key=lambda row: _worth(row.cells.get(names[0]), found[names[0]], floors.get(names[0])))
    return Pivot(
        dataset,
        scale,
        {m: found[m] for m in names},
        rows,
        {m: Mean(v, None, 1) for m, v in floors.items()},
        max(r.planned for r in rows),
    )


def _worth(cell: Mean | None, direction: str, floor: float | None) -> tuple[bool, float]:
    """A key that puts the best first, and rows without that score last; equal ones keep their order."""
    if cell is None or direction == "none":
        return cell is None, 0.0
    if direction == "floor":
        return False, abs(cell.mean - (floor or 0.0))
    return False, -cell.mean if direction == "max" else cell.mean


def cell(values: Sequence[float]) -> Mean:
    """Mean and standard deviation over seeds."""
    n, mean = len(values), math.fsum(values) / len(values)
    sd = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1)) if n > 1 else None
    return Mean(mean, sd, n)


def troubles(records: Iterable[Record]) -> list[str]:
    """One line for each reason why jobs have no scores: failed and diverged jobs, then skipped pairs."""
    lines: dict[str, list[str]] = {}
    for record in records:
        if record.status != "ok":
            where = f"{record.spec.row}/{record.spec.dataset}"
            lines.setdefault(f"{record.status}: {where}: {record.reason}", []).append(str(record.spec.seed))
    ordered = sorted(lines.items(), key=lambda kv: kv[0].startswith("skipped"))
    return [f"{text} (seed{'s' if len(s) > 1 else ''} {', '.join(s)})" for text, s in ordered]


def shown(pivot: Pivot) -> Table:
    """The table as it is printed: models down, metrics across, the scores of real data at the end."""
    scored = [Column(m, m, d) for m, d in pivot.columns.items()]  # type: ignore[arg-type]
    columns = [Column("model", "model"), *scored, Column("train_s", "train s"), Column("n", "n")]
    rows = []
    for line in pivot.rows:
        count = str(line.seeds) if line.seeds == line.planned else f"{line.seeds}/{line.planned}"
        seconds = "–" if line.train_s is None else f"{line.train_s:.1f}"
        rows.append(Row("row", [Text(line.name), *_cells(pivot, line.cells), Text(seconds), Text(count)]))
    if pivot.floors:
        rows.append(Row("floor", [Text("real vs real"), *_cells(pivot, pivot.floors), Text(""), Text("")]))
    return Table(f"{pivot.dataset}-{pivot.scale}", f"{pivot.dataset}, scale {pivot.scale}", columns, rows)


def _cells(pivot: Pivot, found: Mapping[str, Mean]) -> list[Spread]:
    return [Spread(found[m].mean, found[m].sd) if m in found else Spread(None) for m in pivot.columns]


def markdown(tables: Iterable[Pivot], records: Sequence[Record]) -> str:
    """summary.md: the tables, then what has no score and why."""
    parts = [f"## {visible(t.title)}\n\n{to_markdown(t)}" for t in map(shown, tables)]
    parts += [NOTE, ""] if parts else []
    return "\n".join([*parts, *(f"* {line}" for line in troubles(records))]).rstrip() + "\n"


def csv_text(tables: Iterable[Pivot]) -> str:
    """summary.csv: one line per data set, model and metric."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["dataset", "scale", "model", "metric", "direction", "mean", "sd", "n", "floor"])
    for table in tables:
        for row in table.rows:
            for metric, value in row.cells.items():
                floor = table.floors[metric].mean if metric in table.floors else ""
                sd = "" if value.sd is None else value.sd
                direction = table.columns[metric]
                line = [table.dataset, table.scale, row.name, metric, direction, value.mean, sd, value.n, floor]
                writer.writerow(line)
    return out.getvalue()


def json_ready(tables: Iterable[Pivot]) -> list[dict[str, Any]]:
    """The tables as plain data."""
    return [
        {
            "dataset": t.dataset,
            "scale": t.scale,
            "metrics": [{"name": m, "direction": d, "floor": _mean(t.floors.get(m))} for m, d in t.columns.items()],
            "rows": [
                {
                    "model": r.name,
                    "seeds": r.seeds,
                    "planned": r.planned,
                    "train_s": r.train_s,
                    "metrics": {m: {"mean": c.mean, "sd": c.sd, "n": c.n} for m, c in r.cells.items()},
                }
                for r in t.rows
            ],
        }
        for t in tables
    ]


def _rank(metric: str, order: dict[str, int]) -> tuple[int, str, int]:
    """Several scores of one metric stand where the metric does, numbered ones in order: `modes_hq`, `svm_error_20`."""
    fitting = [m for m in order if metric == m or metric.startswith(m + "_")]
    stem, _, number = metric.rpartition("_")
    numbered = number.isdigit()
    place = order[max(fitting, key=len)] if fitting else len(order)
    return (place, stem if numbered else metric, int(number) if numbered else 0)


def _mean(value: Mean | None) -> float | None:
    return None if value is None else value.mean
