"""A small board on the digits with real scores, and submissions to it made by a stand-in for an outside generator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

N = 120  # samples per seed: enough for every check, little enough to be quick

BOARD = f"""\
[board]
id = "small"
title = "Small digits"
scale = "quick"
min_seeds = 2

[[task]]
dataset = "digits"
n = {N}

[[metric]]
name = "mmd"
direction = "min"
primary = true

[[metric]]
name = "inception_score"
direction = "max"
"""


@pytest.fixture(scope="session")
def place() -> Any:
    """One workplace for all tests: data, scorer and floors are loaded once."""
    pytest.importorskip("ganbench.scoring")
    from ganbench.scoring import Workplace

    return Workplace()


@pytest.fixture
def board_folder(tmp_path: Path) -> Path:
    """leaderboards/small with its definition and no records."""
    folder = tmp_path / "leaderboards" / "small"
    folder.mkdir(parents=True)
    (folder / "board.toml").write_text(BOARD)
    return folder


def outside_generator(seed: int, n: int = N) -> np.ndarray[Any, Any]:
    """Digits by an outsider: uint8 pixels (n, 8, 8) of a mixture of Gaussians fitted with scikit-learn."""
    from sklearn.datasets import load_digits
    from sklearn.mixture import GaussianMixture

    x = load_digits().data
    model = GaussianMixture(20, covariance_type="diag", random_state=seed, max_iter=20).fit(x)
    samples = model.sample(n)[0]
    return np.clip(samples * 255 / 16, 0, 255).round().astype(np.uint8).reshape(-1, 8, 8)


@pytest.fixture(scope="session")
def samples() -> list[np.ndarray[Any, Any]]:
    """Two seeds of the outside generator."""
    return [outside_generator(0), outside_generator(1)]


def toml(files: list[str], kind: str = "samples", **changes: Any) -> str:
    """submission.toml for these files, one a seed."""
    head = {
        "board": "small",
        "protocol": "1.0",
        "tier": kind,
        "team": "Example Lab",
        "name": "my-gmm",
        "license": "CC0-1.0",
        **changes,
    }
    lines = ["[submission]", *(f"{k} = {json.dumps(v)}" for k, v in head.items() if v is not None)]
    for seed, path in enumerate(files):
        lines += [f"[[{kind}]]", 'dataset = "digits"', f"seed = {seed}", f"path = {json.dumps(path)}"]
    return "\n".join(lines) + "\n"


@pytest.fixture
def submission(tmp_path: Path, samples: list[np.ndarray[Any, Any]]) -> Path:
    """A valid submission of tier A: two seeds as .npz."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for seed, x in enumerate(samples):
        np.savez_compressed(folder / f"s{seed}.npz", samples=x)
    (folder / "submission.toml").write_text(toml(["s0.npz", "s1.npz"]))
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[], dict[str, bytes]]:
    """Every file below the temporary folder with its bytes, to see that nothing was written."""
    return lambda: {
        str(p.relative_to(tmp_path)): p.read_bytes() if p.is_file() and not p.is_symlink() else b""
        for p in sorted(tmp_path.rglob("*"))
    }
