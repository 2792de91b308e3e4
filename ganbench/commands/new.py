"""`ganbench new model|metric NAME`: a file to begin with, that runs as it is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ganbench.commands._common import WORK, Json, print_json
from ganbench.errors import BadInput
from ganbench.files import write_atomic

TEMPLATES = Path(__file__).parent / "templates"
NEXT = {
    "model": "ganbench test {file}:{cls}; then ganbench run --suite smoke -m {file}:{cls} -m gan_ns",
    "metric": "import it and call {name}(samples, reference); an entry point of ganbench.metrics puts it into runs",
}


def attach(app: typer.Typer) -> None:
    """Add the verb group."""
    group = typer.Typer(help="Begin a model or a metric of your own.", no_args_is_help=True)
    group.command("model")(model)
    group.command("metric")(metric)
    app.add_typer(group, name="new", rich_help_panel=WORK)


def model(
    name: Annotated[str, typer.Argument(help="Its name, as in my_gan; the file is my_gan.py.")], as_json: Json = False
) -> None:
    """Write a GAN that trains, in one file: change its losses, then its networks."""
    _write("model", name, as_json)


def metric(
    name: Annotated[str, typer.Argument(help="Its name, as in my_score; the file is my_score.py.")],
    as_json: Json = False,
) -> None:
    """Write a metric that computes, in one file: change what it says."""
    _write("metric", name, as_json)


def _write(kind: str, name: str, as_json: bool) -> None:
    """Raises `BadInput` for what is no name, or a file that is there already."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,59}", name):
        raise BadInput(f"a name has lower-case letters, digits and _, such as my_gan; got {name!r}")
    path = Path(f"{name}.py")
    if path.exists():
        raise BadInput(f"{path.name} is there already; choose another name")
    cls = "".join(part.capitalize() for part in name.split("_"))
    text = (TEMPLATES / f"{kind}.py.txt").read_text(encoding="utf-8")
    write_atomic(path, text.replace("NAME", name).replace("CLASS", cls))
    then = NEXT[kind].format(file=path.name, cls=cls, name=name)
    if as_json:
        return print_json({"file": path.name, "next": then})
    typer.echo(f"wrote {path.name}; next: {then}")
    return None
