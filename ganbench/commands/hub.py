"""`ganbench hub push|pull`: trained models on a model hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganbench.commands._common import WORK, Json, print_json


def attach(app: typer.Typer) -> None:
    """Add the verb group."""
    group = typer.Typer(help="Trained models on a model hub: push and pull.", no_args_is_help=True)
    group.command("push")(push)
    group.command("pull")(pull)
    app.add_typer(group, name="hub", rich_help_panel=WORK)


def push(
    job: Annotated[str, typer.Argument(help="A job's folder of a run made with --save-weights.")],
    repo: Annotated[str, typer.Argument(help="NAME/MODEL on the hub; it is made if it is not there.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    as_json: Json = False,
) -> None:
    """Upload weights, record, picture and a card; HF_TOKEN or `hf auth login` says who you are."""
    from ganbench.api import hub

    address = hub.push(Path(job), repo, private=private)
    if as_json:
        return print_json({"commit": address})
    typer.echo(f"pushed to {address}")
    return None


def pull(
    repo: Annotated[str, typer.Argument(help="NAME/MODEL on the hub.")],
    out: Annotated[str, typer.Argument(help="A new folder, which `sample` and `ganbench.load` take.")],
    revision: Annotated[str | None, typer.Option("--revision", help="Branch, tag or commit.")] = None,
    as_json: Json = False,
) -> None:
    """Download a model that was pushed; nothing of it is run."""
    from ganbench.api import hub

    folder = hub.pull(repo, Path(out), revision=revision)
    if as_json:
        return print_json({"folder": folder.as_posix()})
    typer.echo(f"pulled into {folder.as_posix()}")
    return None
