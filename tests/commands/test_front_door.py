"""Small things that a newcomer meets: help in full, completion, the best row first, what a folder is called."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ganbench.commands import command
from ganbench.report.tables import _worth

ROOT = Path(__file__).parents[2]


def walk(one: Any, name: str = "ganbench") -> Any:
    yield name, one
    for verb, inner in getattr(one, "commands", {}).items():
        yield from walk(inner, f"{name} {verb}")


@pytest.mark.parametrize(("name", "one"), list(walk(command())), ids=lambda v: v if isinstance(v, str) else "")
def test_help_shows_every_bracket_and_no_backslash(name: str, one: Any) -> None:
    """Rich takes [words] for markup and drops them: each help text must come out of it as it was written."""
    from rich.text import Text

    for told in [one, *one.params]:
        text = getattr(told, "help", None) or ""
        written = re.sub(r"\\\[", "[", text)
        assert Text.from_markup(text).plain == written, (name, text)


def complete(words: str) -> list[str]:
    env = os.environ | {
        "_GANBENCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ganbench"], env=env, cwd=ROOT, capture_output=True, text=True
    )
    assert not re.search(r"\| +torch$", done.stderr, re.MULTILINE), "completion imported torch"
    return done.stdout.split()


def test_the_shell_completes_verbs_and_names_without_torch() -> None:
    assert "describe" in complete("ganbench desc")
    assert complete("ganbench describe wgan_g") == ["wgan_gp"]
    assert "ring8" in complete("ganbench run -d ri")
    assert "toy2d" in complete("ganbench leaderboard show toy")


def test_rows_come_best_first_and_those_without_the_score_last() -> None:
    cells = [None, *(SimpleNamespace(mean=m) for m in (0.2, 0.5, 0.9))]
    order = lambda direction, floor=None: sorted(range(4), key=lambda i: _worth(cells[i], direction, floor))  # noqa: E731
    assert order("min") == [1, 2, 3, 0]
    assert order("max") == [3, 2, 1, 0]
    assert order("floor", 0.5) == [2, 1, 3, 0]


def test_a_folder_as_data_set_is_told_how_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "B").mkdir()
    command_line = [sys.executable, "-m", "ganbench", "score", "x.npz", "-d", str(tmp_path / "B")]
    done = subprocess.run(command_line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "folder:" in done.stderr


def test_what_the_command_can_be_asked_the_function_can() -> None:
    import inspect

    import ganbench
    from ganbench.commands.run import run

    said_otherwise = {"model": "models", "dataset": "datasets", "set_": "config", "recipe": "recipes"}
    of_the_reference = {"resize", "crop", "scorer"}  # of folder[resize=32]:PATH
    of_the_terminal = {"dry_run", "as_json"}
    options = set(inspect.signature(run).parameters) - of_the_reference - of_the_terminal
    assert {said_otherwise.get(o, o) for o in options} == set(inspect.signature(ganbench.run).parameters)
