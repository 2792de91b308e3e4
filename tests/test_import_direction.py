"""Imports go one way; read from source, so that a shortcut is seen before it becomes a habit."""

from __future__ import annotations

import ast

import architecture
from layers import FOR_BASELINES, ROOT, arrows, circles, files, floors, imports, level, module_arrows, room

ARROWS, FLOORS = 145, 11  # at most; lower them with every one that goes


def test_ganbench_imports_downwards() -> None:
    wrong = []
    for own, path in files():
        assert level(own) is not None, f"{own} has no layer: add it to LAYERS in docs/scripts/layers.py"
        for name in imports(path):
            target = level(room(name))
            if name.startswith("baselines"):
                wrong.append(
                    f"{path.relative_to(ROOT)} imports {name}: ganbench reaches baselines through the registry"
                )
            elif target is not None and target < (level(own) or 0):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}, which stands above it")
    assert not wrong, "\n".join(wrong)


def test_modules_import_each_other_in_no_circle() -> None:
    assert circles(module_arrows()) == []


def test_arrows_and_floors_do_not_grow() -> None:
    rooms = arrows()
    print(f"{len(rooms)} arrows between rooms, {max(floors(rooms).values())} floors")
    assert circles(rooms) == []
    assert len(rooms) <= ARROWS
    assert max(floors(rooms).values()) <= FLOORS


def test_floors_and_circles_are_counted_as_drawn() -> None:
    house = {("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("a", "d")}
    assert floors(house) == {"a": 3, "b": 2, "c": 2, "d": 1}
    assert circles(house) == ["b <-> c"]


def test_the_architecture_page_says_what_the_source_says() -> None:
    page = architecture.PAGE.read_text(encoding="utf-8")
    assert architecture.updated(page) == page, (
        "docs/architecture.md is out of date; run python docs/scripts/architecture.py"
    )


def test_the_architecture_page_names_every_room() -> None:
    page = architecture.PAGE.read_text(encoding="utf-8")
    shown = {own: f"`{own.replace('.', '/')}" for own, _ in files()}
    assert [own for own, text in shown.items() if f"{text}/`" not in page and f"{text}.py`" not in page] == []


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
            assert not [n for n in imports(path) if room(n) in ("engine", "jobs")], path.name


def test_light_modules_do_not_import_torch() -> None:
    heavy = ("torch", "pandas", "numpy", "scipy", "sklearn", "matplotlib")
    light = [
        "__main__",
        "errors",
        "registry/__init__",
        "files",
        "registry/recipes",
        "jobs/spec",
        "jobs/plan",
        "jobs/suites",
        "registry/variants",
        "jobs/records",
        "jobs/estimate",
        "provenance/source",
        "jobs/identity",
    ]
    paths = [ROOT / "ganbench" / f"{name}.py" for name in light]
    paths += sorted((ROOT / "ganbench" / "commands").glob("*.py"))
    for path in paths:
        for node in ast.parse(path.read_text()).body:  # the top of the module only
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in names if n.split(".")[0] in heavy], path.name
