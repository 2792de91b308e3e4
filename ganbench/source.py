"""Which source a job stands on: a hash over the files its registrations import, found without importing them."""

from __future__ import annotations

import ast
import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from ganbench.registry import Entry, module_path

# Modules every job passes through, whatever its model imports.
_COMMON = ("ganbench.engine", "ganbench.seeding", "ganbench.data", "ganbench.model", "ganbench.runner")
# Modules that no score can depend on: a reworded error must not make a job new.
_IDLE = ("ganbench.errors", "ganbench.registry", "ganbench.jobs", "ganbench.records", "ganbench.report", "ganbench")


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def canonical_hash(value: Any) -> str:
    """sha256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def code_sha256(*entries: Entry) -> str:
    """Hash of the source files that these registrations stand on, found by following their imports."""
    files: dict[str, str] = {}
    for name in _COMMON:
        path = module_path(name)
        if path:
            files |= _closure(path, name)
    for entry in entries:
        files |= _closure(entry.source, entry.module)
    return canonical_hash(files)


@lru_cache(maxsize=1024)
def _closure(path: Path, module: str) -> dict[str, str]:
    """File name -> sha256 for a file and everything of its own package and of ganbench that it imports."""
    found: dict[str, str] = {}
    waiting = [(path, module)]
    while waiting:
        here, name = waiting.pop()
        key = here.name if name.endswith(".py") else name
        if key in found or not here.is_file():
            continue
        found[key] = file_hash(here)
        own = name.partition(".")[0]
        for target in _imports(here, name):
            if target.partition(".")[0] in ("ganbench", "baselines", own) and target not in _IDLE:
                next_path = module_path(target)
                if next_path:
                    waiting.append((next_path, target))
    return found


@lru_cache(maxsize=1024)
def file_hash(path: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@lru_cache(maxsize=1024)
def _imports(path: Path, module: str) -> tuple[str, ...]:
    """Modules that a file imports; a name re-exported by a package leads to the module that defines it."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return ()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                root = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*root, base] if base else root)
            for alias in node.names:
                found.append(_defining_module(base, alias.name))
    return tuple(dict.fromkeys(found))


def _defining_module(base: str, name: str) -> str:
    """Where `from base import name` leads: a submodule, the module that a package takes it from, or base itself."""
    if base.partition(".")[0] not in ("ganbench", "baselines"):
        return base
    if module_path(f"{base}.{name}"):
        return f"{base}.{name}"
    path = module_path(base)
    if path and path.name == "__init__.py":
        return _re_exports(path, base).get(name, base)
    return base


@lru_cache(maxsize=256)
def _re_exports(path: Path, package: str) -> dict[str, str]:
    """Names that a package takes from its modules -> the modules."""
    found: dict[str, str] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            module = f"{package}.{node.module}" if node.level else node.module
            found |= {alias.name: module for alias in node.names}
    return found
