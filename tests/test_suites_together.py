"""A suite that brings others along: their data sets with their own models and metrics, once each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ganbench.api import launch
from ganbench.jobs import suites
from ganbench.registry import MODELS


def test_every_model_runs_in_the_suite_of_all_and_nothing_runs_twice() -> None:
    planned = launch.make_jobs(launch.select("all"))
    run = [job for job in planned if not job.skip]
    assert {e.name for e in MODELS} == {job.spec.model for job in run}  # none is skipped everywhere
    cells = Counter((j.spec.model, str(sorted(j.spec.config.items())), j.spec.dataset, j.spec.seed) for j in planned)
    assert max(cells.values()) == 1


def test_what_is_asked_for_by_name_is_run_alone() -> None:
    planned = launch.make_jobs(launch.select("all", models=["gmm"], datasets=["ring8"]))
    assert [(job.spec.model, job.spec.dataset) for job in planned] == [("gmm", "ring8")]


def test_a_model_asked_for_by_name_runs_in_the_suites_that_are_brought_along() -> None:
    planned = [job.spec for job in launch.make_jobs(launch.select("all", models=["gansynth", "ep"])) if not job.skip]
    found = {(spec.model, spec.dataset, str(spec.config.get("representation"))) for spec in planned}
    assert {("gansynth", "notes", "None"), ("gansynth", "notes", "phase"), ("gansynth", "digits", "None")} <= found
    assert {model for model, *_ in found} == {"gansynth", "ep"}
    changed = launch.make_jobs(launch.select("all", models=["gansynth[batch_size=32]"]))
    assert {job.spec.dataset for job in changed} == {"ring8", "grid25", "digits"}  # suites have rows of their own


def test_suites_that_are_brought_along_exist_and_bring_none() -> None:
    for name in suites.names():
        for other in suites.load(name).also:
            assert not suites.load(other).also


def test_who_asks_for_a_row_that_the_suite_cannot_score_is_told_which_can() -> None:
    (job,) = launch.make_jobs(launch.select(models=["word2vec_cbow"], datasets=["grammar"], seeds="1"))
    said = "need a model that gives sample or translate; word2vec_cbow does not; try --suite words"
    assert str(job.skip).endswith(said)
    named = launch.select(models=["word2vec_cbow"], datasets=["grammar"], seeds="1", metrics=["modes"])
    assert str(launch.make_jobs(named)[0].skip).endswith("word2vec_cbow does not")  # the metric was the user's choice
    for wrong in (["ring8"], ["digits"]):  # no suite has metrics for words on pictures
        (job,) = launch.make_jobs(launch.select(models=["word2vec_cbow"], datasets=wrong, seeds="1"))
        assert "try" not in str(job.skip)


def test_a_suite_of_the_users_own_says_why_and_no_more(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    what = 'about = "a"\nmodels = ["doc2vec"]\ndatasets = ["themes"]\nmetrics = ["modes"]'
    mine.write_text(what + '\nscale = "smoke"\nseeds = 1\nn_samples = 9')
    (job,) = launch.make_jobs(launch.select(str(mine)))
    assert job.skip == "modes needs a model that gives sample or translate; doc2vec does not"
