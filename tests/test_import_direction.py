"""Imports go one way; read from source, so that a shortcut is seen before it becomes a habit."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Layers from the top; a module may import from its own layer and from those below it, never from above.
LAYERS = [
    {"__main__"},
    {"cli"},
    {"commands"},
    {"gates", "selftest"},
    {"api"},
    {"launch"},
    {"boards", "bench", "report"},
    {"executors"},
    {"rescore"},
    {"runner", "keep", "estimate"},
    {"scoring", "evaluation"},
    {"report.grids", "report.views"},  # pictures that jobs leave behind; pages and tables of records stand above
    {"records"},
    {"jobs", "suites"},
    {"source", "contents", "identity", "environment"},
    {"weights"},
    {"samples_io", "samples_write", "engine", "checkpoint", "make", "datasets", "scorers", "metrics"},
    {"model", "nn", "losses", "ops"},
    {"data", "recipes", "registry", "seeding", "errors", "labels", "files", "variants"},
]
FOR_BASELINES = {"model", "nn", "losses", "ops", "errors"}


def imports(path: Path) -> list[str]:
    """Dotted names of ganbench and baselines modules that a file imports, outside `if TYPE_CHECKING`."""
    found = []
    tree = ast.parse(path.read_text())
    hidden = {
        n for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for n in ast.walk(node)
    }  # fmt: skip
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found += [f"{base}.{a.name}" if base in ("ganbench", "baselines") else base for a in node.names]
    return [name for name in found if name.split(".")[0] in ("ganbench", "baselines") or name.startswith(".")]


def room(name: str) -> str:
    """The first part of a name inside ganbench; two parts where a module stands apart from its folder."""
    parts = name.split(".")[1:]
    apart = ".".join(parts[:2])
    return apart if level(apart) is not None else parts[0] if parts else ""


def level(name: str) -> int | None:
    return next((i for i, layer in enumerate(LAYERS) if name in layer), None)


def test_ganbench_imports_downwards() -> None:
    wrong = []
    for path in sorted((ROOT / "ganbench").rglob("*.py")):
        own = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
        if own == "__init__":
            continue
        assert level(own) is not None, f"{own} has no layer: add it to LAYERS"
        for name in imports(path):
            target = level(room(name))
            if name.startswith("baselines"):
                wrong.append(
                    f"{path.relative_to(ROOT)} imports {name}: ganbench reaches baselines through the registry"
                )
            elif target is not None and target < (level(own) or 0):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}, which stands above it")
    assert not wrong, "\n".join(wrong)


def test_baselines_import_what_a_submitter_has() -> None:
    wrong = []
    for path in sorted((ROOT / "baselines").rglob("*.py")):
        for name in imports(path):
            if room(name) not in FOR_BASELINES or not name.startswith("ganbench"):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_metrics_and_datasets_know_no_models() -> None:
    for folder in ("metrics", "datasets", "scorers"):
        for path in (ROOT / "ganbench" / folder).rglob("*.py"):
            assert not [n for n in imports(path) if room(n) in ("engine", "runner")], path.name


def test_light_modules_do_not_import_torch() -> None:
    heavy = ("torch", "pandas", "numpy", "scipy", "sklearn", "matplotlib")
    light = [
        "__main__",
        "cli",
        "errors",
        "registry",
        "jobs",
        "variants",
        "launch",
        "api",
        "source",
        "contents",
        "identity",
        "records",
        "recipes",
        "estimate",
    ]
    paths = [ROOT / "ganbench" / f"{name}.py" for name in light]
    paths += [*sorted((ROOT / "ganbench" / "commands").glob("*.py")), ROOT / "ganbench" / "suites" / "__init__.py"]
    for path in paths:
        for node in ast.parse(path.read_text()).body:  # the top of the module only
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in names if n.split(".")[0] in heavy], path.name
