"""`ganbench rescore RUN`: other metrics, or more samples, of models that are trained already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganbench.commands._common import WORK, DataDir, Json, print_json, print_table, split_names


def attach(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("rescore", rich_help_panel=WORK)(rescore)


def rescore(
    run: Annotated[str, typer.Argument(help="A run folder made with --save-weights.")],
    metrics: Annotated[
        list[str] | None, typer.Option("--metrics", help="Names of metrics [default: the run's].")
    ] = None,
    samples: Annotated[int | None, typer.Option("--samples", help="Samples drawn [default: the run's].", min=2)] = None,
    out: Annotated[
        str | None, typer.Option("--out", help="The file to write [default: rescored.jsonl in the run].")
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Score a run's models again from the weights it kept; writes records that `leaderboard build --from` takes."""
    from ganbench.boards.build import replace_file
    from ganbench.registry import METRICS
    from ganbench.rescore import rescored

    names = split_names(metrics)
    for name in names:
        METRICS.get(name)
    records = rescored(Path(run), names, samples, data_dir)
    target = Path(out) if out else Path(run) / "rescored.jsonl"
    replace_file(target, "".join(r.to_json() + "\n" for r in records))
    if as_json:
        return print_json(
            {"file": target.as_posix(), "records": [r.model_dump(mode="json", by_alias=True) for r in records]}
        )
    rows = [
        [
            r.spec.row,
            r.spec.dataset,
            str(r.spec.seed),
            m.name,
            f"{m.value:.4g}",
            "" if m.se is None else f"{m.se:.2g}",
            str(m.n),
        ]
        for r in records
        for m in r.metrics
    ]
    print_table(["row", "data set", "seed", "metric", "value", "se", "n"], rows)
    typer.echo(f"wrote {target.as_posix()}")
    return None
