"""One table object, six forms: terminal, Markdown, CSV, JSON, LaTeX and HTML. Pure, and byte-identical on a rerun.

A cell knows its text, its fields (for CSV and JSON, at full precision) and its sort key; names are text in every form:
Markdown, LaTeX and HTML characters are escaped, control characters are made visible, spreadsheet formulas are quoted.
"""

from __future__ import annotations

import io
import json
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from ganbench.report.axes import Axis

if TYPE_CHECKING:
    from ganbench.stats import Estimate, Rank

Format = Literal["md", "csv", "json", "tex", "html"]
ARROWS = {"min": "↓", "max": "↑", "floor": "→ floor", "none": ""}


@dataclass(frozen=True)
class Text:
    """A word or a name."""

    value: str

    def text(self) -> str:
        return visible(self.value)

    def fields(self) -> dict[str, Any]:
        return {"": visible(self.value)}

    def sort_key(self) -> str | float | None:
        return visible(self.value).lower()


@dataclass(frozen=True)
class Number:
    """A number without an interval, such as seconds or a claimed value; None is an empty cell."""

    value: float | None

    def text(self) -> str:
        return "" if self.value is None else short(self.value)

    def fields(self) -> dict[str, Any]:
        return {"": self.value}

    def sort_key(self) -> str | float | None:
        return self.value


@dataclass(frozen=True)
class Measured:
    """A mean over seeds with its interval and tie group; None is an empty cell."""

    estimate: Estimate | None
    letters: str = ""
    usual_n: int | None = None  # n is printed only where it differs from this

    def text(self) -> str:
        e = self.estimate
        if e is None:
            return ""
        lost = f"{e.diverged} diverged" if e.diverged else ""
        if e.n == 0:
            return lost
        if e.low is None or e.high is None:
            parts = [short(e.mean)]
        else:
            digits = decimals((e.high - e.low) / 2, e.mean)
            mean, low, high = (f"{round(v, digits) + 0.0:.{digits}f}" for v in (e.mean, e.low, e.high))  # no "-0"
            parts = [f"{mean} [{low}, {high}]"]
        if self.letters:
            parts.append(self.letters)
        notes = [t for t in (f"n={e.n}" if e.n != self.usual_n else "", lost) if t]
        return " ".join([*parts, f"({', '.join(notes)})"] if notes else parts)

    def fields(self) -> dict[str, Any]:
        e = self.estimate
        known = {".n": 0, ".diverged": 0} if e is None else {".n": e.n, ".diverged": e.diverged}
        interval = {f".{k}": getattr(e, k, None) for k in ("low", "high", "sd")}
        return {"": e.mean if e and e.n else None, **interval, **known, ".group": self.letters}

    def sort_key(self) -> str | float | None:
        return self.estimate.mean if self.estimate and self.estimate.n else None


@dataclass(frozen=True)
class Place:
    """A rank with its interval, `3 [2–6]`; None is unranked."""

    rank: Rank | None

    def text(self) -> str:
        r = self.rank
        return "–" if r is None else f"{r.place} [{r.low}–{r.high}]"

    def fields(self) -> dict[str, Any]:
        r = self.rank
        return {"": r and r.place, ".low": r and r.low, ".high": r and r.high}

    def sort_key(self) -> str | float | None:
        return self.rank.place if self.rank else None


@dataclass(frozen=True)
class Spread:
    """A mean over training seeds with their standard deviation, which one seed has not; None is an empty cell."""

    mean: float | None
    sd: float | None = None

    def text(self) -> str:
        if self.mean is None:
            return "–"
        if self.sd is None:
            return whole(self.mean)
        digits = max(0, 1 - math.floor(math.log10(self.sd))) if self.sd > 0 else None
        if digits is None or digits > 6:
            return f"{whole(self.mean)} ±{whole(self.sd)}"
        return f"{self.mean:.{digits}f} ±{self.sd:.{digits}f}"

    def fields(self) -> dict[str, Any]:
        return {"": self.mean, ".sd": self.sd}

    def sort_key(self) -> str | float | None:
        return self.mean


Cell = Text | Number | Measured | Place | Spread


@dataclass(frozen=True)
class Column:
    """A heading; `direction` draws the arrow and tells HTML which end is better."""

    key: str
    title: str
    direction: Literal["min", "max", "floor", "none"] = "none"

    @property
    def heading(self) -> str:
        return f"{visible(self.title)} {ARROWS[self.direction]}".strip()


@dataclass(frozen=True)
class Row:
    """Cells in the order of the columns; `kind` is ranked, incomplete, control, claimed or floor."""

    kind: str
    cells: Sequence[Cell]
    family: str = ""


@dataclass(frozen=True)
class Table:
    """What is rendered."""

    id: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    notes: Sequence[str] = ()


def visible(text: str) -> str:
    """Text on one line: control, bidirectional and unassigned characters and line separators become U+FFFD."""
    return "".join("\ufffd" if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" else c for c in text)


def short(x: float) -> str:
    """Four significant digits, without exponents between 1e-4 and 1e6."""
    if x == 0 or not math.isfinite(x):
        return "0" if x == 0 else str(x)
    if not 1e-4 <= abs(x) < 1e6:
        return f"{x:.3e}"
    return f"{x:.{max(0, 3 - math.floor(math.log10(abs(x))))}f}"


def whole(x: float) -> str:
    """As `short`; whole numbers as such: 8, not 8.000."""
    return f"{x:.0f}" if math.isfinite(x) and x == round(x) and abs(x) < 1e6 else short(x)


def decimals(half_width: float, mean: float) -> int:
    """Decimals that show two digits of the half-width; four significant ones of the mean where it vanishes."""
    size = half_width if half_width > 1e-4 * abs(mean) else abs(mean) / 100
    return 1 if size <= 0 else min(12, max(0, 1 - math.floor(math.log10(size))))


def lines(table: Table) -> list[list[str]]:
    """The headings, and the text of every row."""
    return [[c.heading for c in table.columns], *([c.text() for c in row.cells] for row in table.rows)]


def to_terminal(table: Table, width: int) -> list[Any]:
    """The table for a terminal of that width: in as many parts as it takes, each with the names in front."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Rich

    wide = [max(map(len, column)) + 3 for column in zip(*lines(table), strict=True)]
    parts: list[list[int]] = [[]]
    for i in range(1, len(wide)):
        if parts[-1] and wide[0] + sum(wide[j] for j in parts[-1]) + wide[i] > width:
            parts.append([])
        parts[-1].append(i)
    made: list[Rich] = []
    for part in parts:
        title = visible(table.title) + (" (continued)" if made else "")
        out = Rich(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
        for i in (0, *part):
            out.add_column(table.columns[i].heading, justify="right" if i else "left", no_wrap=True)
        for row in table.rows:
            if row.kind == "floor":
                out.add_section()
            out.add_row(*(row.cells[i].text() for i in (0, *part)), style="dim" if row.kind == "floor" else None)
        made.append(out)
    return made


def to_markdown(table: Table) -> str:
    """A GitHub table; every name is escaped."""
    from tabulate import tabulate

    rows = [[escape_markdown(c.text()) for c in r.cells] for r in table.rows]
    heads = [escape_markdown(c.heading) for c in table.columns]
    return str(tabulate(rows, heads, tablefmt="github", disable_numparse=True)) + "\n"


def to_records(table: Table) -> list[dict[str, Any]]:
    """Rows as flat dicts at full precision: `rank`, `rank.low`, `digits.mmd`, `digits.mmd.low`, ..."""
    out = []
    for row in table.rows:
        flat: dict[str, Any] = {"kind": row.kind}
        for column, cell in zip(table.columns, row.cells, strict=True):
            flat |= {column.key + suffix: value for suffix, value in cell.fields().items()}
        out.append(flat)
    return out


def to_csv(table: Table) -> str:
    """Comma-separated values with a header; numbers to ten significant digits."""
    import pandas as pd

    rows = [{k: _csv(v) for k, v in flat.items()} for flat in to_records(table)]
    columns = list(dict.fromkeys(k for r in rows for k in r)) or ["kind", *(c.key for c in table.columns)]
    out = io.StringIO()
    pd.DataFrame(rows, columns=columns, dtype=object).to_csv(out, index=False, lineterminator="\n")
    return out.getvalue()


def to_json(table: Table) -> str:
    """Title, columns, rows and notes as one strict JSON document."""
    return json.dumps(to_dict(table), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_dict(table: Table) -> dict[str, Any]:
    """What `to_json` writes."""
    return {
        "id": table.id,
        "title": visible(table.title),
        "columns": [{"key": c.key, "title": visible(c.title), "direction": c.direction} for c in table.columns],
        "rows": to_records(table),
        "notes": list(table.notes),
    }


def to_latex(table: Table) -> str:
    """A booktabs `tabular` to paste into a paper; needs nothing but \\usepackage{booktabs}."""
    import pandas as pd

    frame = pd.DataFrame([[c.text() for c in r.cells] for r in table.rows], columns=[c.heading for c in table.columns])
    frame.columns = pd.Index([_latex(str(c)) for c in frame.columns])
    body: str = frame.map(_latex).to_latex(index=False, escape=False, column_format="l" * len(table.columns))
    return body


def to_html(table: Table, links: Mapping[str, str] = MappingProxyType({})) -> str:
    """A `<table>` whose cells carry sort keys and drawn intervals; every name is escaped by the template engine.

    `links` maps names of models, as the table shows them, to the addresses of their pages.
    """
    template = templates("ganbench.report").get_template("table.html.j2")
    return str(template.render(table=table, span=_spans(table), bar=bar, links=links))


@dataclass(frozen=True)
class Bar:
    """An interval drawn on [0, 100]; `out` says that the mean lies beyond the drawn range."""

    low: float
    mean: float
    high: float
    out: bool


def bar(cell: Measured, span: Axis) -> Bar | None:
    """Where an interval lies on a column's axis, in percent; None where there is nothing to draw."""
    e = cell.estimate
    if e is None or e.n == 0:
        return None
    low, high = (e.mean if e.low is None else e.low), (e.mean if e.high is None else e.high)
    return Bar(span.place(low), span.place(e.mean), span.place(high), not span.holds(e.mean))


def _spans(table: Table) -> Mapping[str, Axis]:
    """Per column an axis over the ranked rows' intervals: one hopeless control must not flatten the others."""
    spans = {}
    for i, column in enumerate(table.columns):
        cells = [(r.kind, r.cells[i]) for r in table.rows]
        for kinds in (("ranked",), ("ranked", "incomplete", "control", "claimed")):
            es = [c.estimate for k, c in cells if k in kinds and isinstance(c, Measured) and c.estimate]
            ends = [v for e in es if e.n for v in (e.mean, e.low, e.high) if v is not None]
            if ends and max(ends) > min(ends):
                spans[column.key] = Axis.fitting(ends, 0.0, 100.0)
                break
    return spans


def render(table: Table, form: Format) -> str:
    """The table in one of the five forms of text."""
    forms = {"md": to_markdown, "csv": to_csv, "json": to_json, "tex": to_latex, "html": to_html}
    return forms[form](table)


@cache
def templates(*packages: str) -> Any:
    """The templates of packages, the first one's first; what is put into them is escaped."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=ChoiceLoader([PackageLoader(p) for p in packages]), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    found.filters["visible"] = visible
    return found


_MARKDOWN = str.maketrans({
    c: f"\\{c}" for c in "\\`*_{}#|~$"
} | {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;", "!": "&#33;"})  # fmt: skip
_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "↓": r"$\downarrow$", "↑": r"$\uparrow$", "–": "--", "′": r"$'$", "±": r"$\pm$", "²": r"$^2$", "\ufffd": "?",
})  # fmt: skip


def escape_markdown(text: str) -> str:
    """Text that a Markdown renderer shows as it is."""
    # Links and autolinks need "](", "://" or "www."; brackets alone stay readable, as intervals use them.
    text = visible(text).translate(_MARKDOWN)
    return text.replace("](", "]&#40;").replace("://", "&#58;//").replace("www.", "www&#46;")


def _latex(text: str) -> str:
    return text.translate(_LATEX)


def _csv(value: Any) -> Any:
    if isinstance(value, float):
        return format(value, ".10g")
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@"):
        return "'" + value  # a spreadsheet would run it
    return value
