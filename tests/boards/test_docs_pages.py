"""Pages made from the boards' records say what those records say today."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "docs" / "scripts"


@pytest.mark.parametrize("name", ["expectations", "reproductions"])
def test_the_page_is_what_its_script_prints(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
    assert (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") == capsys.readouterr().out, (
        f"docs/{name}.md is out of date; run python docs/scripts/{name}.py > docs/{name}.md"
    )


def test_the_readme_shows_the_first_ten_as_the_board_has_them() -> None:
    script = runpy.run_path(str(SCRIPTS / "first_ten.py"))
    readme, board = (script[name].read_text(encoding="utf-8") for name in ("README", "BOARD"))
    shown = script["first_table"](readme)
    assert len(shown) == 2 + 10 + 4  # head and rule, the first ten, the controls
    assert script["with_first_ten"](readme, board) == readme, (
        "README.md is out of date; run python docs/scripts/first_ten.py"
    )
