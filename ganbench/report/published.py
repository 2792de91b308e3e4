"""Full-budget runs beside what their papers printed: one line per recipe and metric, with how sure the source is.

Only a run of a recipe's own config and full budget, scored on as many samples where their number matters, is set
against its number; a shortened one never is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ganbench.jobs.records import Record
from ganbench.jobs.spec import JobSpec
from ganbench.registry.recipes import Recipe
from ganbench.report.table import Column, Row, Table, Text, to_markdown

HEADER = ["row", "data set", "metric", "ours", "n", "published", "source"]
NOTE = "Ours: mean [95 % Student-t interval] over seeds. Every line ran its recipe's config and full budget."


@dataclass(frozen=True)
class Line:
    """One published number and the values of the runs that repeated its recipe."""

    row: str
    dataset: str
    metric: str
    ours: list[float]  # a value a seed
    published: float | None  # None: nobody has printed a number; ours is the first
    spread: str
    protocol: str
    source: str
    sure: str  # verified, secondary or recalled

    def cells(self) -> list[str]:
        """As printed, in the order of `HEADER`."""
        from ganbench.stats import estimate

        e = estimate(self.ours)
        ours = f"{e.mean:.4g}" if e.low is None or e.high is None else f"{e.mean:.4g} [{e.low:.4g}, {e.high:.4g}]"
        sure = "" if self.sure == "verified" else f" ({self.sure})"
        theirs = "no number" if self.published is None else f"{self.published:g} {self.spread}".strip()
        return [self.row, self.dataset, self.metric, ours, str(e.n), theirs, self.source + sure]


def lines(records: Iterable[Record], recipes: Iterable[Recipe]) -> list[Line]:
    """Each published number whose recipe some records ran in full, in the recipes' order."""
    ran = [r for r in records if r.status == "ok" and r.spec.scale == "paper"]
    found = []
    for recipe in recipes:
        repeats = [r for r in ran if _repeats(r.spec, recipe)]
        for p in recipe.published:
            values: dict[str, list[float]] = {}
            for record in repeats:
                score = record.score(p.metric)
                if score is not None and recipe.n_samples in (None, score.n):
                    values.setdefault(record.spec.row, []).append(score.value)
            found += [
                Line(row, recipe.dataset, p.metric, ours, p.value, p.spread, p.protocol, p.source, p.sure)
                for row, ours in values.items()
            ]
    return found


def _repeats(spec: JobSpec, recipe: Recipe) -> bool:
    same = all(getattr(spec, k) == getattr(recipe, k) for k in ("model", "dataset", "config", "budget"))
    return same and recipe.labels in (None, spec.labels)


def table(found: Iterable[Line]) -> Table:
    """All lines, with the note that says how to read them."""
    columns = [Column(name, name) for name in HEADER]
    rows = [Row("row", list(map(Text, line.cells()))) for line in found]
    return Table("published", "Beside the papers", columns, rows, [NOTE])


def markdown(found: Sequence[Line]) -> str:
    """The table with its note; empty for none."""
    made = table(found)
    return "\n".join([f"## {made.title}", "", to_markdown(made), NOTE, ""]) if found else ""
