"""How long a job will take: from earlier runs, else from the table at this machine's speed, else from its budget."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ganbench.jobs import estimate
from ganbench.jobs.plan import Selection, plan
from ganbench.registry import DATASETS, MODELS

BASE = Selection("smoke", ("gan_ns",), ("ring8",), (0,), "quick", ("mmd",), 100, budget={"iterations": 200})


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = {"gan_ns": {"ring8": [0.01, 3.0]}}
    monkeypatch.setattr(estimate, "costs", lambda: {"yardstick_s": 1.0, "jobs": jobs})
    monkeypatch.setattr(estimate, "slowness", lambda: 2.0)


def of(known: dict[estimate.Key, float] | None = None, **changes: object) -> dict[str, object]:
    (job,) = plan(replace(BASE, **changes))  # type: ignore[arg-type]
    return estimate.of(job, known or {})


def test_the_table_counts_iterations_and_the_rest_at_this_machines_speed() -> None:
    assert of()["estimated_s"] == 2 * (200 * 0.01 + 3)
    assert of()["estimate_from"] == "table"
    assert "estimate_factor" not in of()


def test_what_ran_here_is_known_better() -> None:
    found = of({("gan_ns", "ring8", json.dumps([BASE.budget, "custom"])): 7.0})
    assert (found["estimated_s"], found["estimate_from"]) == (7.0, "measured")


@pytest.mark.parametrize(
    "changes",
    [
        {"models": ("lsgan",)},
        {"models": ("gan_ns[lr=0.1]",)},  # other settings may cost anything
        {"datasets": ("grid25",)},
        {"budget": {"seconds": 9}},
    ],
)
def test_what_is_in_no_table_is_a_guess_with_its_factor(changes: dict[str, Any]) -> None:
    found = of(**changes)
    assert (found["estimate_from"], found["estimate_factor"]) == ("nominal", estimate.FACTOR)


def test_the_table_that_ships_names_models_and_data_that_there_are() -> None:
    shipped = json.loads(estimate.COSTS.read_text(encoding="utf-8"))
    assert shipped["yardstick_s"] > 0
    assert shipped["jobs"].keys() <= MODELS.entries.keys()
    for on in shipped["jobs"].values():
        assert on.keys() <= DATASETS.entries.keys()
        assert all(len(cost) == 2 and min(cost) >= 0 for cost in on.values())
