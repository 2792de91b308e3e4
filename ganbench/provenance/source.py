"""Which code a job stands on: a hash over the files its registrations import, found without importing them."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ganbench.registry import Entry, module_path

# Modules every job passes through, whatever its model imports.
_COMMON = ("ganbench.engine", "ganbench.seeding", "ganbench.data", "ganbench.model", "ganbench.jobs.runner")
# Modules that no score can depend on: a reworded error must not make a job new.
_IDLE = (
    "ganbench.errors",
    "ganbench.registry",
    "ganbench.jobs",
    "ganbench.jobs.records",
    "ganbench.report",
    "ganbench",
)


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def canonical_hash(value: Any) -> str:
    """sha256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def code_sha256(*entries: Entry) -> str:
    """Hash of the code that these registrations stand on, found by following their imports.

    Files are hashed as syntax trees without comments and docstrings: a reworded header makes no job new. What was read
    is kept until `look_again`.
    """
    files: dict[str, str] = {}
    for name in _COMMON:
        path = module_path(name)
        if path:
            files |= _closure(path, name)
    for entry in entries:
        files |= _closure(entry.source, entry.module)
    return canonical_hash(files)


def look_again() -> None:
    """Let the next hash see files as they are by then."""
    for cached in (_closure, _file, module_path, _is_followed):
        cached.cache_clear()


@lru_cache(maxsize=1024)
def _closure(path: Path, module: str) -> dict[str, str]:
    """Module -> hash of its code, for a file and everything it imports that is not installed from elsewhere."""
    found: dict[str, str] = {}
    waiting = [(path, module)]
    while waiting:
        here, name = waiting.pop()
        key = here.name if name.endswith(".py") else name
        if key in found or not here.is_file():
            continue
        found[key], more = _file(here, name)
        waiting += more
    return found


@lru_cache(maxsize=4096)
def _file(path: Path, module: str) -> tuple[str, list[tuple[Path, str]]]:
    """Hash of a module's code, and the modules that it imports and that are followed, each with its file."""
    code, own, found = _read(path.read_bytes()), module.partition(".")[0], []
    for target in dict.fromkeys(_targets(code, module, path.name == "__init__.py")):
        top = target.partition(".")[0]
        if target not in _IDLE and (top == own or _is_followed(top)):
            next_path = module_path(target)
            if next_path:
                found.append((next_path, target))
    return code.sha256, found


@lru_cache(maxsize=256)
def _is_followed(top: str) -> bool:
    """ganbench, its baselines, and a user's modules; not what Python or an installer brought."""
    if top in ("ganbench", "baselines"):
        return True
    if top in sys.stdlib_module_names:
        return False
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
    return any(place and not {"site-packages", "dist-packages"} & set(Path(place).parts) for place in places[:2])


@dataclass(frozen=True)
class _Code:
    """What a file of source says."""

    sha256: str  # of its syntax tree without docstrings; of its bytes where it is not Python
    imports: tuple[tuple[int, str, tuple[str, ...]], ...] = ()  # (level, module, names); no names for `import module`


@lru_cache(maxsize=4096)
def _read(source: bytes) -> _Code:
    """Hash and imports of a file's source, from one walk through its tree."""
    words: list[str] = []
    imports: list[tuple[int, str, tuple[str, ...]]] = []
    try:
        _spell(ast.parse(source), words, imports)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _Code(hashlib.sha256(source).hexdigest())
    return _Code(hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest(), tuple(imports))


def _spell(node: ast.AST, words: list[str], imports: list[tuple[int, str, tuple[str, ...]]]) -> None:
    """Append what a tree says, the same for every Python that parses it: empty fields and `ctx` are left out.

    `ast.dump` differs between versions of Python. Strings that stand alone, as docstrings do, say nothing to a program.
    """
    if isinstance(node, ast.Constant):
        words.append(f"={node.value!r}")  # unlike the None of an absent part, as of a key in {**other}
        return
    if isinstance(node, ast.Import):
        imports += [(0, alias.name, ()) for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        imports.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
    words.append(type(node).__name__)
    for name in node._fields:
        value = getattr(node, name, None)
        if value is None or value == [] or name == "ctx":
            continue
        words.append(name)
        for part in value if type(value) is list else (value,):
            if not isinstance(part, ast.AST):
                words.append(repr(part))
            elif not (type(part) is ast.Expr and _is_text(part.value)):
                _spell(part, words, imports)
    words.append(".")


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _targets(code: _Code, module: str, is_package: bool) -> Iterator[str]:
    """Modules that a file imports; a name re-exported by a package leads to the module that defines it."""
    package = module if is_package else module.rpartition(".")[0]
    for level, base, names in code.imports:
        if level:
            root = package.split(".")[: len(package.split(".")) - level + 1]
            base = ".".join([*root, base] if base else root)
        if not names:
            yield base
        for name in names:
            yield _defining_module(base, name)


def _defining_module(base: str, name: str) -> str:
    """Where `from base import name` leads: a submodule, the module that a package takes it from, or base itself."""
    if not _is_followed(base.partition(".")[0]):
        return base
    if module_path(f"{base}.{name}"):
        return f"{base}.{name}"
    path = module_path(base)
    if path and path.name == "__init__.py":
        for level, module, names in _read(path.read_bytes()).imports:
            if name in names and module:
                return f"{base}.{module}" if level else module
    return base
