"""The generated parts of docs/architecture.md: the rooms of ganbench by layer, and the walk of one job.

    python docs/scripts/architecture.py

Writes the page anew from docs/scripts/layers.py and the docstrings of the source; says on stderr how many arrows and
floors the house has.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from layers import LAYERS, ROOT, arrows, circles, floors, module_arrows

PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- {}: made by docs/scripts/architecture.py -->", "<!-- end of {} -->"
WALK = (  # where one job goes, in the order of a run
    "__main__:main",
    "commands.run:run",
    "jobs.plan:plan",
    "jobs.executors.local:run",
    "jobs.executors.process:Crew",
    "jobs.executors.keeper:template",
    "jobs.executors.worker:work",
    "jobs.runner:run_job",
    "scoring.inputs:Workplace",
    "datasets.load:load",
    "model.make:make",
    "engine.loop:train",
    "jobs.runner:score_trained",
    "scoring.draws:draw_all",
    "scoring.inputs:score_all",
    "jobs.keep:artifacts",
    "jobs.records:RunFolder",
    "report.tables:pivot",
)


def file_of(name: str) -> Path:
    """The source of a room or module: a file, or the `__init__` of a folder."""
    base = ROOT / "ganbench" / Path(*name.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def sentence(text: str | None, of: str) -> str:
    """The first sentence of a docstring, on one line. Raises `ValueError` where there is none."""
    flat = " ".join((text or "").split("\n\n")[0].split())
    first = re.split(r"(?<=[^.]\.)\s(?=[A-Z`(])", flat)[0].rstrip(".")
    if not first:
        raise ValueError(f"{of} must begin with a docstring")
    return first.replace("|", "\\|")


def rooms() -> str:
    """A table of all layers from the top, each room with what its docstring says first."""
    rows = ["| layer | room | what it is |", "|---|---|---|"]
    for number, layer in enumerate(reversed(LAYERS), 1):
        found = []
        for name in sorted(layer):
            path = file_of(name)
            what = sentence(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), name)
            shown = f"{name.replace('.', '/')}/" if path.name == "__init__.py" else f"{name.replace('.', '/')}.py"
            found.append(f"| {number} | `{shown}` | {what} |")
        rows[2:2] = found
    return "\n".join(rows)


def walk() -> str:
    """A table of the functions and classes that one job passes, each with what its docstring says first."""
    rows = ["| step | where | what it does |", "|---|---|---|"]
    for number, place in enumerate(WALK, 1):
        module, _, name = place.partition(":")
        tree = ast.parse(file_of(module).read_text(encoding="utf-8"))
        defined = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        if name not in defined:
            raise ValueError(f"ganbench.{module} has no {name} any more: correct WALK in docs/scripts/architecture.py")
        rows.append(f"| {number} | `{module}.{name}` | {sentence(ast.get_docstring(defined[name]), place)} |")
    return "\n".join(rows)


def updated(page: str) -> str:
    """The page with its generated parts in place of those that it has."""
    for name, text in (("rooms", rooms()), ("walk", walk())):
        begin, end = BEGIN.format(name), END.format(name)
        head, rest = page.split(begin)
        page = f"{head}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}"
    return page


def counted() -> str:
    """Rooms, layers, floors, arrows and circles in a few lines."""
    pairs, modules = arrows(), module_arrows()
    return (
        f"rooms: {sum(map(len, LAYERS))} in {len(LAYERS)} layers, {max(floors(pairs).values())} floors; "
        f"{len(pairs)} arrows, in circles: {', '.join(circles(pairs)) or 'none'}\n"
        f"modules: {max(floors(modules).values())} floors, {len(modules)} arrows, "
        f"in circles: {', '.join(circles(modules)) or 'none'}"
    )


def main() -> None:
    """Write docs/architecture.md."""
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(counted(), file=sys.stderr)


if __name__ == "__main__":
    main()
