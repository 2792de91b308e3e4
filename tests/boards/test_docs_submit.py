"""docs/submit.md, followed to the letter: an outside generator goes from samples to a row on the board."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganbench.boards.board import load_board
from ganbench.boards.submission import parse_submission

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "submit.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of the page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def digits(seed: int) -> np.ndarray[Any, Any]:
    """Samples of a generator that knows nothing of ganbench: (500, 8, 8) uint8."""
    from sklearn.datasets import load_digits
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(15, covariance_type="diag", random_state=seed, reg_covar=0.1).fit(load_digits().data)
    pixels = model.sample(500)[0] * 255 / 16
    return np.clip(pixels, 0, 255).round().astype(np.uint8).reshape(-1, 8, 8)


def run(line: str) -> None:
    """One line of the page; nothing but ganbench is called."""
    from ganbench.__main__ import main

    program, *arguments = shlex.split(line)
    assert program == "ganbench"
    assert main(arguments) == 0, line


@pytest.mark.parametrize("form", ["npz", "png"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_page_leads_from_an_empty_folder_to_a_row(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = "".join(blocks("sh")).splitlines()
    for line in lines[:2]:  # show the board, begin
        run(line)
    made = Path("my-gan/submission.toml").read_text()
    assert blocks("toml")[0] in made
    saving = {"npz": blocks("python")[0], "png": blocks("python")[1]}[form]
    for seed in range(3):
        exec(saving.replace("s0", f"s{seed}"), {"samples": digits(seed)})
    if form == "png":  # from here on both are the same: check, pack and add in one step
        Path("my-gan/submission.toml").write_text(made.replace(".npz", ""))
        assert "ganbench submit add my-gan" in PAGE
        lines = ["", "", "ganbench leaderboard copy digits", "ganbench submit add my-gan"]
    for line in lines[2:]:
        run(line)
    page = (tmp_path / "leaderboards" / "digits" / "README.md").read_text()
    assert re.search(r"\| \d+ \[\d+–\d+\] +\| my-gan \(Example Lab\) +\| re-scored", page)


def test_every_submission_on_the_page_is_valid_and_for_the_board() -> None:
    board = load_board(ROOT / "leaderboards" / "digits")
    assert board.task("digits").n == 500
    whole = [t for t in blocks("toml") if "[submission]" in t]
    found = [parse_submission(text) for text in whole]
    assert [s.tier for s in found] == ["samples", "weights", "code"]
    assert {(s.board, s.protocol) for s in found} == {(board.id, board.protocol)}
    claim = next(t for t in blocks("toml") if t.startswith("[[claimed]]"))
    assert parse_submission(whole[0] + claim).claimed[0].metric in {m.name for m in board.metrics}
