"""docs/submit.md, followed to the letter: an outside generator goes from samples to a row on the board."""

from __future__ import annotations

import re
import shlex
import shutil
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
    """One line of the page; only ganbench and cp are called."""
    from ganbench.__main__ import main

    program, *arguments = shlex.split(line)
    if program == "cp":
        source, target = (Path(a) for a in arguments[1:])
        assert arguments[0] == "-r"
        shutil.copytree(source, target / source.name)
    else:
        assert program == "ganbench"
        assert main(arguments) == 0, line


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty copy of the board and a working directory around it."""
    board = tmp_path / "leaderboards" / "digits"
    (board / "submissions").mkdir(parents=True)
    shutil.copy(ROOT / "leaderboards" / "digits" / "board.toml", board)
    (tmp_path / "my-gan").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("form", ["npz", "png"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_page_leads_from_samples_to_a_row(form: str, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saving = {"npz": blocks("python")[0], "png": blocks("python")[1]}[form]
    monkeypatch.chdir(checkout / "my-gan")
    for seed in range(3):
        exec(saving.replace("s0", f"s{seed}"), {"samples": digits(seed)})
    text = blocks("toml")[0]
    Path("submission.toml").write_text(text if form == "npz" else text.replace(".npz", ""))
    monkeypatch.chdir(checkout)
    lines = "".join(blocks("sh")).splitlines()
    if form == "png":  # from here on both are the same: check and add in one step
        run("ganbench submit add my-gan")
        assert "ganbench submit add my-gan" in PAGE
    else:
        for line in lines:
            run(line)
    page = (checkout / "leaderboards" / "digits" / "README.md").read_text()
    assert re.search(r"\| 1 \[1–1\] +\| my-gan \(Example Lab\) +\| re-scored", page)


def test_every_submission_on_the_page_is_valid_and_for_the_board() -> None:
    board = load_board(ROOT / "leaderboards" / "digits")
    assert board.task("digits").n == 500
    whole = [t for t in blocks("toml") if "[submission]" in t]
    found = [parse_submission(text) for text in whole]
    assert [s.tier for s in found] == ["samples", "weights", "code"]
    assert {(s.board, s.protocol) for s in found} == {(board.id, board.protocol)}
    claim = next(t for t in blocks("toml") if t.startswith("[[claimed]]"))
    assert parse_submission(whole[0] + claim).claimed[0].metric in {m.name for m in board.metrics}
