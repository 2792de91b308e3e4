"""`ganbench rescore RUN`: other metrics, or more samples, of models that are trained already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganbench.commands._common import WORK, DataDir, Json, named_path, print_json, print_table, say, split_names


def attach(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("rescore", rich_help_panel=WORK)(rescore)


def rescore(
    run: Annotated[str, typer.Argument(help="A run folder made with --save-weights.")],
    metrics: Annotated[
        list[str] | None, typer.Option("--metrics", help="Names or globs; repeat for more [default: the run's].")
    ] = None,
    samples: Annotated[int | None, typer.Option("--samples", help="Samples drawn [default: the run's].", min=2)] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", callback=named_path, help="The file to write [default: rescored.jsonl in the run]."),
    ] = None,
    scorer_weights: Annotated[str | None, typer.Option(help="Weights of a scorer that ships none.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Score a run's models again from the weights it kept; writes records that `leaderboard build --from` takes."""
    from ganbench.files import write_atomic
    from ganbench.jobs.plan import metric_names
    from ganbench.jobs.rescore import rescored

    asked = split_names(metrics)
    names = metric_names(tuple(asked)) if asked else ()
    records = rescored(Path(run), names, samples, data_dir=data_dir, scorer_weights=scorer_weights, say=say)
    target = Path(out) if out else Path(run) / "rescored.jsonl"
    write_atomic(target, "".join(r.to_json() + "\n" for r in records))
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
