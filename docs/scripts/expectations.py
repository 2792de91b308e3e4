"""What the literature leads one to expect of the rows, and what the boards' records say: the page docs/expectations.md.

    python docs/scripts/expectations.py > docs/expectations.md

Reads `expectations.toml` beside it and records of boards; make the page anew when they change.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ganbench.boards.board import load_board
from ganbench.boards.compare import Difference, compare
from ganbench.boards.own import own_records
from ganbench.errors import BadInput
from ganbench.jobs.records import Record

LABELS = {"mmd": "MMD", "frechet": "Frechet distance", "psnr": "PSNR"}
BOARDS = Path(__file__).parents[2] / "leaderboards"
CLAIMS = Path(__file__).with_suffix(".toml")
HEAD = """# What the literature expects, and what was found

Made by `python docs/scripts/expectations.py` from the records of the boards. A difference is the row minus the other,
taken seed by seed over the seeds that both have (Welch's where they share none), with its 95 % Student-t interval, each
by itself. "Confirmed" and "refuted": the interval leaves out zero, on the expected side or on the other. Papers speak
of their own data, budgets and measures: what they say need not hold on these.
"""


@dataclass(frozen=True)
class Expectation:
    """Row `row` has more (or less) of a metric than row `other`."""

    board: str
    dataset: str
    metric: str
    row: str
    other: str
    more: bool
    source: str


def expected(section: dict[str, Any]) -> Iterator[Expectation]:
    """The claims of one section, a data set after the other."""
    for dataset in section["datasets"]:
        for c in section["claims"]:
            for other in c["than"]:
                more = not c.get("less", False)
                yield Expectation(section["board"], dataset, c["metric"], c["row"], other, more, c["source"])


@cache
def held(board: str) -> list[Record]:
    """The records of a board at its own scale."""
    scale = load_board(BOARDS / board).scale
    return [r for r in own_records(BOARDS / board) if r.spec.scale == scale]


def measured(e: Expectation) -> Difference | None:
    """The difference on the expectation's board; None where a row has no records there."""

    def of(row: str) -> list[Record]:  # under one name, for `compare` matches rows by theirs
        mine = (r for r in held(e.board) if r.spec.row == row and r.spec.dataset == e.dataset)
        return [r.model_copy(update={"spec": r.spec.but(model="row", config={})}) for r in mine]

    try:
        found = compare(of(e.other), of(e.row))
    except BadInput:
        return None
    return next((d for d in found if d.metric == e.metric), None)


def verdict(e: Expectation, d: Difference) -> str:
    """What the interval says of the expectation."""
    if d.low is None or d.high is None:
        return "under three seeds"
    if d.low <= 0 <= d.high:
        return "not told apart"
    return "confirmed" if (d.low > 0) == e.more else "refuted"


def table(section: dict[str, Any]) -> str:
    """One line for each expectation that has records; empty where none has."""
    lines = []
    for e in expected(section):
        if (d := measured(e)) is None:
            continue
        amount = "more" if e.more else "fewer" if e.metric == "modes" else "less"
        said = f"{e.row} has {amount} {LABELS.get(e.metric, e.metric)} than {e.other} ({e.source})"
        interval = "" if d.low is None or d.high is None else f" [{d.low:.3g}, {d.high:.3g}]"
        cells = (said, e.dataset, f"{d.b:.4g}", f"{d.a:.4g}", f"{d.difference:.3g}{interval}", f"{d.n_b}, {d.n_a}")
        lines.append(f"| {' | '.join((*cells, verdict(e, d)))} |")
    head = ["| expected | data set | row | other | difference | seeds | found |", "|:--|:--|:--|:--|:--|:--|:--|"]
    return "\n".join([*head, *lines]) if lines else ""


def main() -> None:
    """Print the page."""
    sections = tomllib.loads(CLAIMS.read_text(encoding="utf-8"))["section"]
    tables = [(s, table(s)) for s in sections]
    print(HEAD)
    print("\n\n".join(f"## {s['title']}\n\n{s['about']}\n\n{rows}" for s, rows in tables if rows))


if __name__ == "__main__":
    main()
