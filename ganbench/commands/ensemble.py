"""`ganbench ensemble RUN`: classifiers that saw the same labels, averaged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganbench.commands._common import WORK, Json, named_path, print_json, show_table
from ganbench.errors import BadInput


def attach(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("ensemble", rich_help_panel=WORK)(ensemble)


def ensemble(
    runs: Annotated[list[str], typer.Argument(help="Run folders made with --label-draws.")],
    size: Annotated[int | None, typer.Option("--of", help="Seeds in an ensemble [default: all].", min=2)] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", callback=named_path, help="The file to write [default: ensembles.jsonl in the first run]."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Average the class probabilities of a row's seeds; writes records that `leaderboard build --from` takes."""
    from ganbench.files import write_atomic
    from ganbench.jobs.ensembles import ensembles
    from ganbench.report import label_counts

    records = [record for run in runs for record in ensembles(Path(run), size)]
    ids = [r.job_id for r in records]
    if len(set(ids)) < len(ids):
        raise BadInput("two runs hold the same ensemble; name each draw of the labels once")
    target = Path(out) if out else Path(runs[0]) / "ensembles.jsonl"
    write_atomic(target, "".join(r.to_json() + "\n" for r in records))
    curves = label_counts.curves(records)
    if as_json:
        return print_json({"file": target.as_posix(), "label_curves": label_counts.json_ready(curves)})
    for table in label_counts.tables(curves):
        show_table(table)
    typer.echo(f"wrote {target.as_posix()}")
    return None
