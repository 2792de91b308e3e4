"""A small board on the digits with real scores, and submissions to it made by a stand-in for an outside generator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outsider import BOARD, outside_generator, toml


@pytest.fixture
def board_folder(tmp_path: Path) -> Path:
    """leaderboards/small with its definition and no records."""
    folder = tmp_path / "leaderboards" / "small"
    folder.mkdir(parents=True)
    (folder / "board.toml").write_text(BOARD)
    return folder


@pytest.fixture(scope="session")
def samples() -> list[np.ndarray[Any, Any]]:
    """Two seeds of the outside generator."""
    return [outside_generator(0), outside_generator(1)]


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
