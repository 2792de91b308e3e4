"""The registry: names from source without importing, near matches, duplicates, files and broken code."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from ganbench.datasets.base import dataset
from ganbench.errors import DuplicateName, ImportFailed, UnknownName
from ganbench.jobs.executors.base import executor
from ganbench.metrics.base import metric
from ganbench.model import register
from ganbench.registry import (
    METRICS,
    MODELS,
    DatasetInfo,
    Entry,
    ExecutorInfo,
    MetricInfo,
    ModelInfo,
    Registry,
    ScorerInfo,
    read_source,
)
from ganbench.scorers.base import scorer

MODEL = '''"""A {name} for tests."""
from ganbench.model import Model, register

@register("{name}", family="test", gives=("sample",))
class Thing(Model):
    """What it is."""
'''


def test_names_are_read_without_importing_torch() -> None:
    code = (
        "import sys; from ganbench.registry import MODELS; print('wgan_gp' in MODELS.entries, 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.split() == ["True", "False"]


def test_every_model_file_is_named_after_its_model() -> None:
    for entry in MODELS:
        stem = entry.source.stem
        first = stem.split("_")[0]  # of several in one file, what their names begin with
        assert entry.name.startswith(first) if entry.shares else entry.name == stem
        assert entry.header, f"{entry.name} has no header"


def test_unknown_names_offer_near_matches() -> None:
    with pytest.raises(UnknownName, match="did you mean wgan_gp"):
        MODELS.get("wgan-gp")


def test_a_class_in_a_users_file_loads_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MODEL.format(name="mine"))
    entry = MODELS.get(f"{path}:Thing")
    assert entry.name == "mine"
    assert entry.load().name == "mine"
    with pytest.raises(UnknownName, match="did you mean Thing"):
        MODELS.get(f"{path}:Thin")
    with pytest.raises(UnknownName, match="model file"):
        MODELS.get(f"{tmp_path / 'absent.py'}:Thing")


def test_an_entry_point_is_read_without_running_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "farpkg").mkdir()
    (tmp_path / "farpkg" / "__init__.py").write_text("raise SystemExit('it ran')")
    (tmp_path / "farpkg" / "models.py").write_text(MODEL.format(name="far_thing"))
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        EntryPoint("far_thing", "farpkg.models:Thing", "ganbench.models"),
        EntryPoint("absent", "nowhere_at_all.models:Thing", "ganbench.models"),
    ]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
    registry = Registry("model", ModelInfo, "baselines", "register", "ganbench.models")
    assert registry.get("far_thing").family == "test"
    assert registry.get("far_thing").summary == "A far_thing for tests"
    assert "absent" in registry.entries
    assert "farpkg" not in sys.modules


def test_two_registrations_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "twice_named"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for stem in ("a", "b"):
        (package / f"{stem}.py").write_text(MODEL.format(name="same"))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DuplicateName, match="rename one"):
        _ = Registry("model", ModelInfo, "twice_named", "register").entries


def test_code_that_does_not_import_says_why(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(MODEL.format(name="broken") + "\nimport nothing_of_that_name\n")
    with pytest.raises(ImportFailed, match="nothing_of_that_name"):
        MODELS.get(f"{path}:Thing").load()
    path.write_text("@register('x')\nclass (:\n")
    with pytest.raises(ImportFailed, match="line 2"):
        list(read_source(path, "x", "register", ModelInfo))


DECORATORS = [
    (ModelInfo, register),
    (DatasetInfo, dataset),
    (MetricInfo, metric),
    (ScorerInfo, scorer),
    (ExecutorInfo, executor),
]


@pytest.mark.parametrize(("info", "decorator"), DECORATORS, ids=lambda x: x.__name__)
def test_an_info_holds_what_its_decorator_takes_with_the_same_defaults(info: Any, decorator: Any) -> None:
    taken = {p.name: p for p in inspect.signature(decorator).parameters.values() if p.name != "name"}
    function = ast.parse("def f(x): ...").body[0]
    common = {f.name for f in dataclasses.fields(Entry)} | info.said_by(function).keys()
    own = {f.name: f for f in dataclasses.fields(info)}
    assert own.keys() - common <= taken.keys() <= own.keys()
    for name, parameter in taken.items():
        if parameter.default is not inspect.Parameter.empty:
            field = own[name]
            default = field.default if field.default is not dataclasses.MISSING else field.default_factory()
            assert default == parameter.default, name


def test_a_metric_is_given_its_arguments_without_a_default() -> None:
    for entry in METRICS:
        arguments = inspect.signature(inspect.unwrap(entry.load())).parameters.values()
        assert set(entry.needs) == {p.name for p in arguments if p.default is p.empty or p.name == "space"}, entry.name


def test_needs_are_not_said_twice(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text('@metric("mine", direction="min", needs=("samples",))\ndef mine(samples): ...\n', encoding="utf-8")
    with pytest.raises(ImportFailed, match="got needs"):
        METRICS.get(f"{path}:mine")


def test_a_decorator_that_says_what_there_is_no_word_for_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text('@register("mine", family="x", speed=3)\nclass Mine:\n    pass\n', encoding="utf-8")
    with pytest.raises(ImportFailed, match="got speed"):
        MODELS.get(f"{path}:Mine")
