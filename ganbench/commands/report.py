"""`ganbench report RUN`: one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganbench.commands._common import LOOK, Json, named_path, print_json


def attach(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("report", rich_help_panel=LOOK)(report)


def report(
    run: Annotated[str, typer.Argument(help="A run folder.")],
    out: Annotated[
        str | None, typer.Option("--out", callback=named_path, help="The file to write [default: RUN/report.html].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a page with tables, intervals, samples and curves of a run; it needs no network."""
    from ganbench.boards.html import page
    from ganbench.boards.pages import run_page
    from ganbench.files import write_atomic

    content = run_page(Path(run))
    target = Path(out) if out else Path(run) / "report.html"
    write_atomic(target, page(content))
    if as_json:
        print_json({"file": target.as_posix(), "bytes": target.stat().st_size})
    else:
        typer.echo(f"wrote {target.as_posix()}")
