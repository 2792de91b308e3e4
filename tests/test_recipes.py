"""Scale `paper` runs what was published: each recipe's own config for its own budget, or nothing."""

from __future__ import annotations

import dataclasses

from ganbench import suites
from ganbench.executors import worker
from ganbench.jobs import Selection, plan
from ganbench.registry import MODELS


def selection(*models: str) -> Selection:
    return Selection("test", models, ("ring8", "grid25"), (0,), "paper", ("modes",), 2500)


def test_each_distinct_recipe_is_one_job_with_its_config_and_budget() -> None:
    chosen = selection("pacgan")
    jobs = plan(chosen, None, worker.recipes(chosen.models))
    assert [j.spec.config["pack"] for j in jobs if j.spec.dataset == "grid25"] == [1, 2, 3, 4]
    assert len({j.spec.job_id for j in jobs}) == len(jobs) == 8
    assert all(j.spec.budget == {"iterations": 400_000} and j.skip is None for j in jobs)


def test_overrides_are_laid_over_recipes_and_an_explicit_budget_over_theirs() -> None:
    chosen = dataclasses.replace(selection("pacgan"), budget={"iterations": 10})
    jobs = plan(chosen, {"pacgan": {"lr": 0.5}}, worker.recipes(chosen.models))
    assert {(j.spec.config["lr"], j.spec.scale) for j in jobs} == {(0.5, "custom")}
    assert all(j.spec.budget == {"iterations": 10} for j in jobs)


def test_models_without_a_recipe_are_skipped_with_the_reason() -> None:
    chosen = selection("hinge")
    jobs = plan(chosen, None, worker.recipes(chosen.models))
    assert [j.skip for j in jobs] == [f"hinge has no published recipe for {d}" for d in ("ring8", "grid25")]


def test_every_recipe_of_the_2d_suite_is_a_valid_config() -> None:
    for name in suites.load("reproduce-2d").models:
        cls = MODELS.load(name)
        for recipe in cls.recipes:
            cls.Config().override(**recipe.config)
