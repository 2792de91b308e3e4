"""Full-budget runs beside what their papers printed: one line per recipe and metric, with how sure the source is.

Only a run of a recipe's own config and full budget, scored on as many samples where their number matters, is set
against its number; a shortened one never is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ganbench.jobs import row_name

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
        from ganbench.boards.rank import estimate

        e = estimate(self.ours)
        ours = f"{e.mean:.4g}" if e.low is None or e.high is None else f"{e.mean:.4g} [{e.low:.4g}, {e.high:.4g}]"
        sure = "" if self.sure == "verified" else f" ({self.sure})"
        theirs = "no number" if self.published is None else f"{self.published:g} {self.spread}".strip()
        return [self.row, self.dataset, self.metric, ours, str(e.n), theirs, self.source + sure]


def lines(records: Iterable[Mapping[str, Any]], recipes: Iterable[Mapping[str, Any]]) -> list[Line]:
    """Each recipe that some records (lines of results.jsonl) ran in full, in the order of the recipes.

    `recipes` are those of `ganbench.executors.worker.recipes`.
    """
    ran = [r for r in records if r["status"] == "ok" and r["spec"]["scale"] == "paper"]
    found = []
    for recipe in recipes:
        values: dict[str, list[float]] = {}
        for record in ran:
            spec = record["spec"]
            labels = recipe["labels"] is None or spec.get("labels") == recipe["labels"]
            same = all(spec[k] == recipe[k] for k in ("model", "dataset", "config", "budget"))
            for score in record.get("metrics") or () if same and labels else ():
                drawn = recipe.get("n_samples") in (None, score.get("n"))
                if score["name"] == recipe["metric"] and score.get("value") is not None and drawn:
                    values.setdefault(row_name(spec), []).append(float(score["value"]))
        told = {k: recipe[k] for k in ("published", "spread", "protocol", "source", "sure")}
        found += [Line(row, recipe["dataset"], recipe["metric"], ours, **told) for row, ours in values.items()]
    return found


def markdown(found: list[Line]) -> str:
    """The table with its note; empty for none."""
    if not found:
        return ""
    rows = [
        "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"
        for cells in (HEADER, *(x.cells() for x in found))
    ]
    return "\n".join(["## Beside the papers", "", rows[0], "|:--" * len(HEADER) + "|", *rows[1:], "", NOTE, ""])
