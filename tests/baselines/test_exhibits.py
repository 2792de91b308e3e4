"""A model file is one page: a header that says what, whence and what departs, then the algorithm; findings apart."""

from __future__ import annotations

import ast
import statistics
import textwrap
from pathlib import Path

import pytest

import baselines
from ganbench.registry import MODELS

FILES = sorted({e.source for e in MODELS if Path(baselines.__file__).parent in e.source.parents})
FINDINGS = Path(__file__).parents[2] / "docs" / "models"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_header_has_at_most_ten_lines_and_no_findings(path: Path) -> None:
    tree = ast.parse(path.read_text())
    header = tree.body[0]
    assert isinstance(header, ast.Expr)
    assert (header.end_lineno or 99) <= 10
    text = ast.get_docstring(tree) or ""
    assert "Known  " not in text
    if path.parent.name != "controls":
        assert "Source  " in text
        assert "Shapes  " in text


def test_models_of_one_file_say_each_what_they_are() -> None:
    said = [e.summary for e in MODELS if e.shares]
    assert len(set(said)) == len(said)
    assert all(said)


def test_the_shelf_is_readable() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in FILES}
    assert lengths[MODELS.get("wgan_gp").source] <= 100
    assert max(n for path, n in lengths.items() if path.parent.name == "conditional") <= 150
    assert statistics.median(lengths.values()) <= 75
    assert max(lengths.values()) <= 400


def test_findings_are_of_models_that_there_are() -> None:
    for path in FINDINGS.glob("*.md"):
        assert path.stem in MODELS.entries
        assert path.read_text().startswith(f"# {path.stem}: findings\n\n")


def test_the_readme_shows_wgan_gp_as_its_file_has_it() -> None:
    readme = (FINDINGS.parents[1] / "README.md").read_text()
    shown = readme[readme.index("```python\ndef critic_loss") :].removeprefix("```python\n").split("```")[0]
    source = MODELS.get("wgan_gp").source.read_text()
    for method in shown.strip().split("\n\n\n"):
        assert textwrap.indent(method, "    ") in source
