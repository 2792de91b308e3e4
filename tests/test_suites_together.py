"""A suite that brings others along: their data sets with their own models and metrics, once each."""

from __future__ import annotations

from collections import Counter

from ganbench.api import launch
from ganbench.jobs import suites
from ganbench.registry import MODELS

ELEVEN = (
    "cgan", "cgan_matching", "text2image", "pix2pix", "cyclegan", "srgan", "progan", "code_arith", "code_projection",
    "attr_edit", "capsnet",
)  # fmt: skip


def test_every_row_of_conditions_runs_in_the_suite_of_all_and_nothing_runs_twice() -> None:
    planned = launch.make_jobs(launch.select("all"))
    run = [job for job in planned if not job.skip]
    assert {*ELEVEN} <= {job.spec.model for job in run}
    assert {e.name for e in MODELS if e.conditions} <= {job.spec.model for job in run}
    cells = Counter((j.spec.model, str(sorted(j.spec.config.items())), j.spec.dataset, j.spec.seed) for j in planned)
    assert max(cells.values()) == 1


def test_what_is_asked_for_by_name_is_run_alone() -> None:
    planned = launch.make_jobs(launch.select("all", models=["gmm"], datasets=["ring8"]))
    assert [(job.spec.model, job.spec.dataset) for job in planned] == [("gmm", "ring8")]


def test_suites_that_are_brought_along_exist_and_bring_none() -> None:
    for name in suites.names():
        for other in suites.load(name).also:
            assert not suites.load(other).also
