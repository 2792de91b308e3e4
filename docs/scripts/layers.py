"""The layers of ganbench and the imports of its source: a test checks them, the architecture page shows them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Layers from the top; a module may import from its own layer and from those below it, never from above.
LAYERS = [
    {"__main__"},
    {"commands"},
    {"gates", "site"},
    {"api"},
    {"boards", "bench"},
    {"report"},
    {"jobs"},
    {"scoring"},
    {"provenance", "pictures"},
    {"engine", "metrics"},
    {"datasets", "scorers", "bases"},
    {"model"},
    {"losses"},
    {"nn"},
    {"data", "ops"},
    {"registry", "seeding", "files", "stats"},
    {"errors"},
]
Arrow = tuple[str, str]
FOR_BASELINES = {"model", "bases", "nn", "losses", "ops", "errors"}


def imports(path: Path) -> list[str]:
    """Dotted names that a file takes from ganbench and baselines, in functions and for types alone too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found += [f"{base}.{a.name}" for a in node.names]
    return [name for name in found if name.split(".")[0] in ("ganbench", "baselines") or name.startswith(".")]


def level(name: str) -> int | None:
    """The layer of a room, 0 at the top; None for what is no room."""
    return next((i for i, layer in enumerate(LAYERS) if name in layer), None)


def room(name: str) -> str:
    """The first part of a name inside ganbench; all of baselines is one room."""
    first, *rest = name.split(".")
    return first if first == "baselines" or not rest else rest[0]


def files() -> Iterator[tuple[str, Path]]:
    """Every file of ganbench with the room that it belongs to."""
    for path in sorted((ROOT / "ganbench").rglob("*.py")):
        own = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
        if own != "__init__":  # the package's own names, which anyone may import
            yield own, path


def module_arrows() -> set[Arrow]:
    """(from, to) for each pair of modules of ganbench and baselines of which one imports the other."""
    paths = [p for folder in ("ganbench", "baselines") for p in (ROOT / folder).rglob("*.py")]
    named = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in paths}
    found = set()
    for name, path in named.items():
        for target in imports(path):
            home = target if target in named else target.rpartition(".")[0]  # a module, or a name in one
            found |= {(name, home)} if home in named and home != name else set()
    return found


def arrows() -> set[Arrow]:
    """(from, to) for each pair of rooms of which one imports the other."""
    found = {(room(a), room(b)) for a, b in module_arrows()}
    return {(a, b) for a, b in found if a != b}


def floors(pairs: set[Arrow]) -> dict[str, int]:
    """Name -> the longest way down from it, counted in groups of names; those in one circle are one group."""
    below = {name: {b for a, b in pairs if a == name} for pair in pairs for name in pair}
    reach = _reach(pairs)
    group = {name: frozenset({name} | {b for b in reach[name] if name in reach[b]}) for name in reach}

    @cache
    def depth(members: frozenset[str]) -> int:
        return 1 + max((depth(group[b]) for a in members for b in below[a] if group[b] != members), default=0)

    return {name: depth(members) for name, members in group.items()}


def circles(pairs: set[Arrow]) -> list[str]:
    """Pairs of names that import each other, straight or by others, as "a <-> b"."""
    reach = _reach(pairs)
    return sorted(f"{a} <-> {b}" for a in reach for b in reach[a] if a < b and a in reach[b])


def _reach(pairs: set[Arrow]) -> dict[str, set[str]]:
    """Name -> all names that imports lead to from it."""
    reach = {name: {b for a, b in pairs if a == name} for pair in pairs for name in pair}
    grew = True
    while grew:
        before = sum(map(len, reach.values()))
        for found in reach.values():
            found |= {far for near in list(found) for far in reach[near]}
        grew = sum(map(len, reach.values())) > before
    return reach
