"""What `ganbench new` writes runs as it is written, and is refused where it would overwrite or has no name."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import ganbench
from ganbench.commands import build
from ganbench.errors import BadInput


def new(*arguments: str) -> Any:
    return CliRunner().invoke(build(), ["new", *arguments])


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_model_trains(tmp_path: Path) -> None:
    assert new("model", "my_gan").exit_code == 0
    frame = ganbench.run("my_gan.py:MyGan[margin=0.5]", "ring8", seeds=1, budget="iterations=5", samples=50, out="r")
    assert list(frame.status.unique()) == ["ok"]


def test_the_metric_is_unbiased(tmp_path: Path) -> None:
    assert new("metric", "my_score").exit_code == 0
    spec = importlib.util.spec_from_file_location("my_score", "my_score.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    assert spec.loader is not None
    spec.loader.exec_module(module)
    rng = torch.Generator().manual_seed(0)
    scores = [
        module.my_score(torch.randn(50, 3, generator=rng), torch.randn(50, 3, generator=rng) + 1) for _ in range(200)
    ]
    values = torch.tensor([s.value for s in scores])
    spread = float(values.std())
    assert float(values.mean()) == pytest.approx(
        3, abs=4 * spread / 200**0.5
    )  # |(1, 1, 1)|^2, within 4 standard errors
    assert sum(s.se for s in scores) / 200 == pytest.approx(spread, rel=0.25)  # of 200 draws the spread is known to 5 %


def test_bad_names_and_files_that_are_there_are_refused(tmp_path: Path) -> None:
    for name in ("My-Gan", "../x", "a b"):
        assert isinstance(new("model", name).exception, BadInput)
    (tmp_path / "mine.py").write_text("x = 1\n")
    assert isinstance(new("model", "mine").exception, BadInput)
    assert (tmp_path / "mine.py").read_text() == "x = 1\n"
