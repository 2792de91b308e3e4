"""`ganbench compare A B` and `ganbench history METRIC`: what changed, with its uncertainty."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ganbench.commands._boards import ROOT, Root, records_of
from ganbench.commands._common import LOOK, Json, print_json, print_table
from ganbench.errors import BadInput


def attach(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("compare", rich_help_panel=LOOK)(compare)
    app.command("history", rich_help_panel=LOOK)(history)


def compare(
    a: Annotated[str, typer.Argument(help="A run folder, a board, or a .jsonl file of records: the baseline.")],
    b: Annotated[str, typer.Argument(help="What is compared with it.")],
    as_json: Json = False,
) -> None:
    """B minus A for every model, data set and metric they share, paired by seed, with 95 % intervals."""
    from ganbench.boards.compare import compare as differences
    from ganbench.report.table import short, visible

    found = differences(records_of(a), records_of(b))
    if as_json:
        return print_json({"differences": [vars(d) for d in found]})
    rows = []
    for d in found:
        interval = "" if d.low is None or d.high is None else f"[{short(d.low)}, {short(d.high)}]"
        seeds = f"{d.paired} paired" if d.paired else f"{d.n_a} and {d.n_b}"
        verdict = d.verdict + (f": {d.reason}" if d.reason else "")
        rows.append(
            [d.model, d.dataset, d.metric, short(d.a), short(d.b), short(d.difference), interval, seeds, verdict]
        )
    header = ["model", "data set", "metric", "A", "B", "B - A", "95 %", "seeds", "B is"]
    print_table(header, [[visible(c) for c in row] for row in rows])
    return None


def history(
    metric: Annotated[str, typer.Argument(help="A score, such as mmd.")],
    models: Annotated[list[str] | None, typer.Option("-m", "--model", help="Only these models.")] = None,
    dataset: Annotated[str | None, typer.Option("-d", "--dataset", help="Only this data set.")] = None,
    root: Root = ROOT,
    as_json: Json = False,
) -> None:
    """How a metric moved over the commits of the boards' records."""
    from ganbench.boards.history import history as points_of
    from ganbench.report.table import Measured, visible

    folders = sorted({path.parent for path in Path(root).glob("*/records*.jsonl")})
    points = points_of(folders, metric, models or [], dataset)
    if not points:
        raise BadInput(f"no committed record in {Path(root).name!r} has a score {metric!r} for that choice")
    if as_json:
        return print_json({"metric": metric, "points": [_plain(p) for p in points]})
    header = ["date", "commit", "board", "model", "data set", f"{metric}: mean [95 %]", "signature"]
    rows = [
        [p.date[:10], p.commit, p.board, p.model, p.dataset, Measured(p.estimate).text(), p.signature] for p in points
    ]
    print_table(header, [[visible(c) for c in row] for row in rows])
    return None


def _plain(point: Any) -> dict[str, Any]:
    flat = dict(vars(point))
    e = flat.pop("estimate")
    return {**flat, "mean": e.mean, "low": e.low, "high": e.high, "n": e.n}
