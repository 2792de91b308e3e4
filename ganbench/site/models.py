"""What a model's page says: read from its source, its recipe, the boards' standings and the records of runs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ganbench.boards.build import Built, version_mark
from ganbench.boards.html import Curves
from ganbench.boards.standings import Standing
from ganbench.registry import ModelInfo, module_path
from ganbench.registry.recipes import Recipe
from ganbench.report.published import Line
from ganbench.report.table import Measured

SHARED = ("ganbench", "baselines")  # packages whose functions a loss may be made of
FITTED = ("fit", "infer")  # what a model without players does, and its part of it where a base has the rest


@dataclass(frozen=True)
class Reached:
    """Where one row of a model stands on one board."""

    board: str
    title: str
    standing: Standing
    scores: Sequence[tuple[str, str]]  # (task: metric, mean with interval)
    mark: str = ""  # of a row trained by another version of the model


@dataclass(frozen=True)
class Sample:
    """A picture file that lies on the site."""

    src: str
    dataset: str
    label: str
    board: str


@dataclass(frozen=True)
class ModelPage:
    """One model, as its page shows it."""

    entry: ModelInfo
    equations: Sequence[str]
    losses: Sequence[tuple[str, str]]  # (where, source)
    datasets: Sequence[str]
    recipes: Sequence[Recipe] = ()
    reproductions: Sequence[Line] = ()
    reached: Sequence[Reached] = ()
    samples: Sequence[Sample] = ()
    curves: Sequence[Curves] = ()
    parts: dict[str, str] = field(default_factory=dict)  # of the file's header: Source, Departures, Shapes

    @property
    def departures(self) -> list[str]:
        """The numbered departures from the paper, each without its number."""
        return [t for t in re.split(r"(?:^|\s)\d+\.\s", self.parts.get("Departures", "")) if t]

    @property
    def best(self) -> Reached | None:
        """The ranked row with the best place of all boards, for lists."""
        ranked = [(r.standing.rank.place, i) for i, r in enumerate(self.reached) if r.standing.rank]
        return self.reached[min(ranked)[1]] if ranked else None


def header(text: str) -> dict[str, str]:
    """The labelled parts of a file's header: `Source      ...` with lines that follow, as one line each."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines()[1:]:
        start = re.match(r"(Source|Departures|Shapes)\s+(.*)", line)
        if start:
            name = start[1]
            found[name] = start[2].strip()
        elif name and line.startswith(" "):
            found[name] += " " + line.strip()
        else:
            name = ""
    return found


def losses(entry: ModelInfo) -> list[tuple[str, str]]:
    """What a model's players minimise, as code: its own methods, or those it inherits, and the functions they call."""
    found: dict[str, str] = {}
    module, name = entry.source, entry.attribute
    for _ in range(6):  # up the base classes, until one says what is minimised
        text = module.read_text(encoding="utf-8")
        tree = ast.parse(text)
        node = next((n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name), None)
        if node is None:
            break
        own = [n for n in node.body if isinstance(n, ast.FunctionDef)]
        methods = [n for n in own if _is_loss(n.name)]
        for m in methods or [n for n in own if n.name in (*FITTED, "players")]:
            found.setdefault(f"{name}.{m.name}", _source(text, m))
        if methods or any(n.name in FITTED for n in own):
            for m in methods:
                for where, code in _called(tree, text, m):
                    found.setdefault(where, code)
            break
        above = next(iter(_bases(node)), "")
        imported = _imported(tree).get(above)
        path = module_path(imported) if imported else module
        if not above or path is None:
            break
        module, name = path, above
    return list(found.items())


def _is_loss(name: str) -> bool:
    return name == "loss" or name.endswith("_loss")


def _source(text: str, node: ast.AST) -> str:
    """The lines of a function, moved to the left edge."""
    import textwrap

    return textwrap.dedent(ast.get_source_segment(text, node, padded=True) or "")


def _bases(node: ast.ClassDef) -> Iterator[str]:
    for base in node.bases:
        while isinstance(base, ast.Subscript):
            base = base.value
        if isinstance(base, ast.Name):
            yield base.id


def _imported(tree: ast.Module) -> dict[str, str]:
    """Name -> the module it was imported from, of those that may hold losses."""
    return {
        alias.asname or alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(SHARED)
        for alias in node.names
    }


def _called(tree: ast.Module, text: str, method: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """The functions that a loss calls by name: of its own file, and of the shared losses."""
    own = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    away = _imported(tree)
    for call in ast.walk(method):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            continue
        name = call.func.id
        if name in own:
            yield name, _source(text, own[name])
        elif name in away and (path := module_path(away[name])):
            other = path.read_text(encoding="utf-8")
            for n in ast.parse(other).body:
                if isinstance(n, ast.FunctionDef) and n.name == name:
                    yield f"{away[name]}.{name}", _source(other, n)


def reached(model: str, boards: Sequence[Built]) -> list[Reached]:
    """Every row of a model on every board, with its primary scores."""
    return [_reached(built, s) for built in boards for s in built.standings if s.entry.model == model]


def _reached(built: Built, s: Standing) -> Reached:
    scores = []
    for task in built.board.tasks:
        metric = built.board.primary(task)
        if (task.key, metric.name) in s.estimates:
            cell = Measured(s.estimates[task.key, metric.name], s.letters.get(task.key, ""))
            scores.append((f"{task.title}: {metric.name}", cell.text()))
    return Reached(built.board.id, built.board.title, s, scores, version_mark(s))


def paper_link(entry: ModelInfo) -> str:
    """Where a model's paper can be read; empty where it is no arXiv number or address."""
    paper = entry.paper
    if paper.startswith("arXiv:"):
        return f"https://arxiv.org/abs/{paper.removeprefix('arXiv:')}"
    if paper.startswith("https://"):
        return paper
    return f"https://doi.org/{paper.removeprefix('doi:')}" if paper.startswith("doi:") else ""


def relative(entry: ModelInfo) -> Path | None:
    """The path of a built-in model's file below the folder that holds the packages."""
    package = module_path("baselines")
    root = package and package.parents[1]
    return entry.source.relative_to(root) if root and entry.source.is_relative_to(root) else None
