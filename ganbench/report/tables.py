"""The plain table of a run: one a data set, rows of `jobs.row_name` down by their first score, means over seeds, n."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganbench.jobs.records import MetricRow, Record
from ganbench.report.columns import columns

ARROWS = {"max": "↑", "min": "↓", "floor": "→ floor", "none": ""}
NOTE = "Mean ± standard deviation over training seeds; n: seeds scored (of those run); real vs real: the floor."


@dataclass(frozen=True)
class Cell:
    """A metric over the seeds of one row."""

    mean: float
    sd: float | None  # over training seeds; None for one seed
    n: int


@dataclass
class Row:
    """One model, with the settings and the number of labels that set it apart."""

    name: str
    seeds: int  # with a score
    planned: int
    cells: dict[str, Cell] = field(default_factory=dict)
    train_s: float | None = None


@dataclass
class Table:
    """One data set at one scale."""

    dataset: str
    scale: str
    columns: dict[str, str]  # metric -> direction
    rows: list[Row]
    floors: dict[str, Cell]  # the metric on real against real
    seeds: int


def pivot(records: Iterable[Record]) -> list[Table]:
    """Tables from records, in the order in which data sets, models and metrics first appear."""
    groups: dict[tuple[str, str], dict[str, list[Record]]] = {}
    for record in records:
        if record.status != "skipped":
            models = groups.setdefault((record.spec.dataset, record.spec.scale), {})
            models.setdefault(record.spec.row, []).append(record)
    return [_table(dataset, scale, models) for (dataset, scale), models in groups.items()]


def _table(dataset: str, scale: str, models: dict[str, list[Record]]) -> Table:
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
        rows.append(Row(name, len(good), len(records), cells, sum(seconds) / len(seconds) if seconds else None))
    if names:
        rows.sort(key=lambda row: _worth(row.cells.get(names[0]), found[names[0]], floors.get(names[0])))
    return Table(
        dataset,
        scale,
        {m: found[m] for m in names},
        rows,
        {m: Cell(v, None, 1) for m, v in floors.items()},
        max(r.planned for r in rows),
    )


def _worth(cell: Cell | None, direction: str, floor: float | None) -> tuple[bool, float]:
    """A key that puts the best first, and rows without that score last; equal ones keep their order."""
    if cell is None or direction == "none":
        return cell is None, 0.0
    if direction == "floor":
        return False, abs(cell.mean - (floor or 0.0))
    return False, -cell.mean if direction == "max" else cell.mean


def cell(values: Sequence[float]) -> Cell:
    """Mean and standard deviation over seeds."""
    n, mean = len(values), math.fsum(values) / len(values)
    sd = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1)) if n > 1 else None
    return Cell(mean, sd, n)


def troubles(records: Iterable[Record]) -> list[str]:
    """One line for each reason why jobs have no scores: failed and diverged jobs, then skipped pairs."""
    lines: dict[str, list[str]] = {}
    for record in records:
        if record.status != "ok":
            where = f"{record.spec.row}/{record.spec.dataset}"
            lines.setdefault(f"{record.status}: {where}: {record.reason}", []).append(str(record.spec.seed))
    ordered = sorted(lines.items(), key=lambda kv: kv[0].startswith("skipped"))
    return [f"{text} (seed{'s' if len(s) > 1 else ''} {', '.join(s)})" for text, s in ordered]


def rich_tables(table: Table, width: int) -> list[Any]:
    """The table for a terminal of that width: in as many parts as it takes, each with the models in front."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Rich

    lines = [_header(table), *_body(table)] + ([_floor_line(table)] if table.floors else [])
    wide = [max(len(line[i]) for line in lines) + 3 for i in range(len(lines[0]))]
    parts: list[list[int]] = [[]]
    for i in range(1, len(wide)):
        if parts[-1] and wide[0] + sum(wide[j] for j in parts[-1]) + wide[i] > width:
            parts.append([])
        parts[-1].append(i)
    made = []
    for number_of, part in enumerate(parts):
        title = _title(table) if number_of == 0 else f"{_title(table)} (continued)"
        out = Rich(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
        for i in (0, *part):
            out.add_column(lines[0][i], justify="left" if i == 0 else "right", no_wrap=True)
        body = lines[1:-1] if table.floors else lines[1:]
        for line in body:
            out.add_row(*(line[i] for i in (0, *part)))
        if table.floors:
            out.add_section()
            out.add_row(*(lines[-1][i] for i in (0, *part)), style="dim")
        made.append(out)
    return made


def markdown(tables: Iterable[Table], records: Sequence[Record]) -> str:
    """summary.md: the tables, then what has no score and why."""
    parts = []
    for table in tables:
        lines = [_header(table), *_body(table)] + ([_floor_line(table)] if table.floors else [])
        cells = ["| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines]
        rule = "|:--|" + "--:|" * (len(lines[0]) - 1)
        parts += [f"## {_title(table)}", "", cells[0], rule, *cells[1:], ""]
    parts += [NOTE, ""] if parts else []
    return "\n".join([*parts, *(f"* {line}" for line in troubles(records))]).rstrip() + "\n"


def csv_text(tables: Iterable[Table]) -> str:
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


def json_ready(tables: Iterable[Table]) -> list[dict[str, Any]]:
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


def number(value: float) -> str:
    """Four significant digits, as a reader wants them: 0.002123, 7.667, 8, 1234."""
    if not math.isfinite(value) or (value == round(value) and abs(value) < 1e6):
        return f"{value:g}" if abs(value) > 1e6 else f"{value:.0f}"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:.2e}" if digits > 7 or abs(value) >= 1e7 else f"{value:.{min(digits, 6)}f}"


def _header(table: Table) -> list[str]:
    return ["model", *(f"{m} {ARROWS.get(d, '')}".rstrip() for m, d in table.columns.items()), "train s", "n"]


def _body(table: Table) -> list[list[str]]:
    lines = []
    for row in table.rows:
        cells = [_text(row.cells.get(m)) for m in table.columns]
        seconds = "–" if row.train_s is None else f"{row.train_s:.1f}"
        count = str(row.seeds) if row.seeds == row.planned else f"{row.seeds}/{row.planned}"
        lines.append([row.name, *cells, seconds, count])
    return lines


def _floor_line(table: Table) -> list[str]:
    return ["real vs real", *(_text(table.floors.get(m)) for m in table.columns), "", ""]


def _text(value: Cell | None) -> str:
    if value is None:
        return "–"
    if value.sd is None:
        return number(value.mean)
    digits = max(0, 1 - math.floor(math.log10(value.sd))) if value.sd > 0 else None
    if digits is None or digits > 6:
        return f"{number(value.mean)} ±{number(value.sd)}"
    return f"{value.mean:.{digits}f} ±{value.sd:.{digits}f}"


def _title(table: Table) -> str:
    return f"{table.dataset}, scale {table.scale}"


def _rank(metric: str, order: dict[str, int]) -> tuple[int, str, int]:
    """Several scores of one metric stand where the metric does, numbered ones in order: `modes_hq`, `svm_error_20`."""
    fitting = [m for m in order if metric == m or metric.startswith(m + "_")]
    stem, _, number = metric.rpartition("_")
    numbered = number.isdigit()
    place = order[max(fitting, key=len)] if fitting else len(order)
    return (place, stem if numbered else metric, int(number) if numbered else 0)


def _mean(value: Cell | None) -> float | None:
    return None if value is None else value.mean
