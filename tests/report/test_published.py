"""A run is set beside its paper's number only when it ran that recipe in full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import fakes
import pytest

from ganbench.jobs.records import Record
from ganbench.registry.recipes import Recipe
from ganbench.report.published import HEADER, lines, markdown

RECIPE = Recipe(
    model="pacgan",
    dataset="grid25",
    config={"pack": 2},
    budget={"iterations": 400},
    published=[
        {
            "metric": "modes",
            "value": 23.8,
            "spread": "+-0.7 (SE of 10 runs)",
            "protocol": "2,500 samples",
            "source": "table 1",
            "sure": "verified",
        }
    ],
)


def changed(**fields: object) -> Recipe:
    """The recipe with other fields, of itself or of its number."""
    own = {k: v for k, v in fields.items() if k in Recipe.model_fields}
    number = RECIPE.published[0].model_copy(update={k: v for k, v in fields.items() if k not in own})
    return RECIPE.model_copy(update={**own, "published": (number,)})


def record(value: float = 24.0, seed: int = 0, dataset: str = "grid25", **options: Any) -> Record:
    spec = {"config": {"pack": 2}, "budget": {"iterations": 400}, "scale": "paper"} | options
    return fakes.record("pacgan", dataset, seed, {"modes": value}, **spec)


def test_seeds_of_the_same_recipe_share_a_line() -> None:
    (line,) = lines([record(24), record(25, seed=1), record(23, seed=2)], [RECIPE])
    assert line.ours == [24, 25, 23]
    cells = dict(zip(HEADER, line.cells(), strict=True))
    assert cells["ours"].startswith("24 [")  # mean 24, s.d. 1, t(2) = 4.303: 24 +- 2.48
    assert cells["ours"].endswith("[21.52, 26.48]")
    assert cells["published"] == "23.8 +-0.7 (SE of 10 runs)"
    assert "pacgan[pack=2]" in markdown([line])


def test_shortened_changed_or_failed_runs_are_not_compared() -> None:
    others = [
        record(scale="custom", budget={"iterations": 40}),
        record(budget={"iterations": 40}),
        record(config={"pack": 2, "lr": 1.0}),
        record(status="diverged"),
        record(dataset="ring8"),
    ]
    assert lines(others, [RECIPE]) == []
    assert markdown([]) == ""


def test_numbers_of_other_label_counts_are_not_compared() -> None:
    recipe = changed(labels=100)
    assert lines([record(labels=50)], [recipe]) == []
    assert len(lines([record(labels=100)], [recipe])) == 1


def test_a_setting_without_a_published_number_says_so_beside_ours() -> None:
    (line,) = lines([record(24)], [changed(value=None, spread="")])
    assert line.ours == [24]
    assert dict(zip(HEADER, line.cells(), strict=True))["published"] == "no number"
    assert "no number" in markdown([line])


def test_rows_of_labelled_recipes_are_named_by_the_label() -> None:
    (line,) = lines([record(24, recipe="paper m=2")], [RECIPE])
    assert line.row == "pacgan[paper m=2]"


def test_scores_of_another_number_of_samples_are_not_compared() -> None:
    drawn = [record(9.0, n=n) for n in (200, 26_000)]
    (line,) = lines(drawn, [changed(n_samples=26_000)])
    assert line.ours == [9.0]
    assert len(lines(drawn, [RECIPE])[0].ours) == 2


def test_a_source_that_is_not_verified_says_so() -> None:
    (line,) = lines([record()], [changed(sure="recalled")])
    assert line.cells()[-1] == "table 1 (recalled)"


@pytest.mark.parametrize("name", ["reproductions", "expectations"])
def test_a_page_made_from_records_is_what_they_give(name: str) -> None:
    docs = Path(__file__).parents[2] / "docs"
    made = subprocess.run(
        [sys.executable, docs / "scripts" / f"{name}.py"], capture_output=True, text=True, cwd=docs.parent,
        env=os.environ | {"PYTHONPATH": str(docs.parent)}, check=True,
    )  # fmt: skip
    assert made.stdout == (docs / f"{name}.md").read_text()
