"""`ganbench site build`: the boards, models, metrics and documentation as a static site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganbench.commands._boards import INSTALLED, ROOT, Root, board_folders
from ganbench.commands._common import LOOK, Json, print_json


def attach(app: typer.Typer) -> None:
    """Add the verb group."""
    group = typer.Typer(help="The static site: boards, models, metrics, documentation.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("build")(build)
    app.add_typer(group, name="site", rich_help_panel=LOOK)


def build(
    out: Annotated[str, typer.Argument(help="A new or empty folder, or a site to build anew.")],
    root: Root = ROOT,
    docs: Annotated[
        str | None, typer.Option("--docs", help="Folder of documentation with a conf.py; else the checkout's.")
    ] = None,
    run: Annotated[
        list[str] | None, typer.Option("--run", help="Show the training curves of this run folder; repeat for more.")
    ] = None,
    repository: Annotated[
        str, typer.Option("--repository", help="Address of the public repository, for links to sources and commits.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Write the site into a folder; it can be published as it is, and fetches nothing."""
    from ganbench.site.build import build as build_site

    beside = INSTALLED.parent / "docs"
    found = Path(docs) if docs else beside if (beside / "conf.py").is_file() else None
    done = build_site(
        Path(out), board_folders(None, root), docs=found, runs=[Path(r) for r in run or ()], repository=repository
    )
    if as_json:
        return print_json({"out": Path(out).as_posix(), **vars(done)})
    typer.echo(
        f"{done.pages} pages, {done.bytes / 1e6:.1f} MB, the largest page {done.largest / 1e6:.2f} MB, "
        f"in {done.seconds:.0f} s; documentation: {done.docs}; open {Path(out).as_posix()}/index.html"
    )
    return None
