"""`ganbench data list|get|path`: which data sets are here, and how to get the others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ganbench.commands._common import LOOK, DataDir, Json, print_json, print_table, say
from ganbench.errors import BadConfig, GanbenchError, MissingResource


def attach(app: typer.Typer) -> None:
    """Add the verb group."""
    group = typer.Typer(help="Data sets: which are here, where, and how to get others.", no_args_is_help=True)
    group.command("list")(list_)
    group.command("get")(get)
    group.command("path")(path)
    app.add_typer(group, name="data", rich_help_panel=LOOK)


def list_(
    data_dir: DataDir = None,
    check: Annotated[
        bool, typer.Option("--check", help="Load each data set that needs files, to see if its files are complete.")
    ] = False,
    as_json: Json = False,
) -> None:
    """All data sets; with --check, which of those that need files are here."""
    from ganbench.commands.inspect import datasets

    root = _root(data_dir)
    items = [{**d, "here": d["builtin"] or (_state(d["name"], root) if check else None)} for d in datasets()]
    if as_json:
        return print_json(items)
    words = {True: "yes", False: "no", None: ""}
    rows = [[d["name"], "built in" if d["builtin"] else words[d["here"]], d["summary"]] for d in items]
    print_table(["name", "here", "about"], rows)
    return None


def get(
    name: Annotated[str, typer.Argument(help="A data set that is downloaded.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Download a data set into the data directory."""
    root = _root(data_dir)
    if root is None:
        raise BadConfig("no data directory: give --data-dir DIR, or set GANBENCH_DATA")
    from ganbench.datasets.load import load

    root.mkdir(parents=True, exist_ok=True)
    say(f"getting {name} ...")
    try:
        spec = load(name, root, download=True).spec
    except GanbenchError:
        raise
    except Exception as error:  # whatever the network or the archive does
        reason = str(error).split("\n", 1)[0]
        raise MissingResource(f"{name} could not be downloaded: {type(error).__name__}: {reason}") from None
    found = {"name": name, "event_shape": list(spec.event_shape), "n_train": spec.n_train, "sha256": spec.sha256}
    if as_json:
        return print_json(found)
    typer.echo(f"{name}: {spec.n_train} training events of shape {tuple(spec.event_shape)}, sha256 {spec.sha256[:16]}")
    return None


def path(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Where data sets are looked for."""
    root = _root(data_dir)
    if as_json:
        return print_json({"path": None if root is None else str(root), "exists": bool(root and root.is_dir())})
    if root is None:
        raise MissingResource("no data directory: use --data-dir DIR or set GANBENCH_DATA (built-in data needs none)")
    typer.echo(str(root))
    return None


def _root(data_dir: str | None) -> Path | None:
    text = data_dir or os.environ.get("GANBENCH_DATA")
    return Path(text) if text else None


def _state(name: str, root: Path | None) -> Any:
    """True or False as the files load or not; None for data sets that are named with a path."""
    from ganbench.datasets.load import load

    if ":" in name:
        return None
    try:
        load(name, root)
    except GanbenchError:
        return False
    return True
