"""Scale `paper` runs what was published: each recipe's own config for its own budget, or nothing."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

import baselines
from ganbench.errors import BadConfig, UnknownName
from ganbench.jobs import suites
from ganbench.jobs.plan import Selection, plan
from ganbench.jobs.spec import JobSpec
from ganbench.registry import DATASETS, METRICS, MODELS, recipes


def selection(*models: str) -> Selection:
    return Selection("test", models, ("ring8", "grid25"), (0,), "paper", ("modes",), 2500)


def test_each_distinct_recipe_is_one_job_with_its_config_and_budget() -> None:
    chosen = selection("pacgan")
    jobs = plan(chosen)
    assert [j.spec.config["pack"] for j in jobs if j.spec.dataset == "grid25"] == [1, 2, 3, 4]
    assert len({j.spec.job_id for j in jobs}) == len(jobs) == 8
    assert all(j.spec.budget == {"iterations": 400_000} and j.skip is None for j in jobs)


def test_a_recipe_brings_the_number_of_samples_its_protocol_scores() -> None:
    chosen = Selection("test", ("gmmn", "gmmn_ae", "aae"), ("mnist",), (0,), "paper", ("parzen",), 2500)
    jobs = plan(chosen)
    assert [j.spec.n_samples for j in jobs] == [10_000] * 3
    assert {j.spec.n_samples for j in plan(selection("pacgan"))} == {2500}


def test_overrides_are_laid_over_recipes_and_an_explicit_budget_over_theirs() -> None:
    chosen = dataclasses.replace(selection("pacgan"), budget={"iterations": 10})
    jobs = plan(chosen, {"pacgan": {"lr": 0.5}})
    assert {(j.spec.config["lr"], j.spec.scale) for j in jobs} == {(0.5, "custom")}
    assert all(j.spec.budget == {"iterations": 10} for j in jobs)


def test_models_without_a_recipe_are_skipped_with_the_reason() -> None:
    chosen = selection("hinge")
    jobs = plan(chosen)
    assert [j.skip for j in jobs] == [f"hinge has no published recipe for {d}" for d in ("ring8", "grid25")]


@pytest.mark.parametrize("suite", [name for name in suites.names() if suites.load(name).scale == "paper"])
def test_suites_of_recipes_run_some_of_every_model_and_data_set(suite: str) -> None:
    base = suites.load(suite)
    chosen = Selection(suite, base.models, base.datasets, (0,), "paper", base.metrics, base.n_samples)
    jobs = [j for j in plan(chosen) if j.skip is None]
    assert {j.spec.model for j in jobs} == set(base.models)
    assert {j.spec.dataset for j in jobs} == set(base.datasets)
    scores = {s for m in base.metrics for s in METRICS.get(m).returns or (m,)}
    known = [r for found in recipes.of(base.models).values() for r in found if r.dataset in base.datasets]
    assert {p.metric for r in known for p in r.published} <= scores


def test_every_recipe_is_a_valid_config_on_a_known_data_set_with_a_known_score() -> None:
    scores = {s for m in METRICS for s in (m.name, *m.returns)}
    files = {path.stem: path for path in Path(baselines.__file__).parent.glob("*/*.toml")}
    assert files.keys() <= MODELS.entries.keys()  # no file of a model that is none
    for name, path in files.items():
        entry = MODELS.get(name)
        assert path.parent == entry.source.parent
        cls = entry.load()
        for recipe in recipes.load(entry):
            made = cls.Config().override(**recipe.config)
            given = {k: tuple(v) if isinstance(v, list) else v for k, v in recipe.config.items()}
            assert {k: getattr(made, k) for k in given} == given  # nothing is coerced to another value
            assert recipe.dataset in DATASETS.entries
            assert all(p.metric in scores for p in recipe.published), name


def test_a_label_names_one_setting_of_a_model_on_a_data_set_and_looks_like_no_override() -> None:
    for entry in MODELS:
        settings, labels = defaultdict(set), defaultdict(set)
        for r in (r for r in recipes.load(entry) if r.label):
            setting = repr((r.config, r.budget, r.labels))
            settings[r.dataset, r.label].add(setting)
            labels[r.dataset, setting].add(r.label)
            assert r.label.startswith("paper")  # no config field does, so `m[paper]` is never an override
            assert not set("/[],") & set(r.label)
        assert all(len(found) == 1 for found in [*settings.values(), *labels.values()]), entry.name


def test_published_settings_can_be_picked_by_their_labels() -> None:
    chosen = dataclasses.replace(selection("pacgan"), models=("pacgan", "wgan_gp"), recipes=("paper m=2", "paper m=4"))
    jobs = plan(chosen)
    assert {j.spec.row for j in jobs} == {"pacgan[paper m=2]", "pacgan[paper m=4]"}
    assert not any(j.skip for j in jobs)  # the other model has no such setting, and no row that says so
    ids = {j.spec.job_id for j in plan(dataclasses.replace(chosen, recipes=()))}
    assert {j.spec.job_id for j in jobs} < ids  # the same jobs as in a run of all
    with pytest.raises(UnknownName, match="paper m=2"):
        plan(dataclasses.replace(chosen, recipes=("paper m=5",)))
    with pytest.raises(BadConfig, match="--scale paper"):
        plan(dataclasses.replace(chosen, scale="quick"))


def test_rows_of_recipes_go_by_their_labels_unless_something_is_changed() -> None:
    chosen = selection("pacgan")
    jobs = plan(chosen)
    assert [j.spec.row for j in jobs if j.spec.dataset == "ring8"] == [f"pacgan[paper m={m}]" for m in (1, 2, 3, 4)]
    assert all(j.spec.label == f"{j.spec.row}/{j.spec.dataset}/s0" for j in jobs)
    for changed in (
        plan(chosen, {"pacgan": {"lr": 0.5}}),
        plan(dataclasses.replace(chosen, budget={"iterations": 10})),
    ):
        rows = {j.spec.row for j in changed if j.spec.dataset == "ring8"}
        assert len(rows) == 4  # still apart
        assert not any("paper m=" in row for row in rows)
        assert all("networks=paper" in row and "pack=" in row for row in rows)


def test_a_label_stands_for_the_config_and_nothing_else() -> None:
    spec = JobSpec(
        model="vat", config={"lr": 0.1}, recipe="paper", labels=50, dataset="digits", scale="paper", seed=0,
        metrics=(), n_samples=1,
    )  # fmt: skip
    assert spec.row == "vat[paper,labels=50]"
    assert spec.but(recipe=None).row == "vat[labels=50,lr=0.1]"


GOOD = """
[[recipe]]
dataset = "ring8"
budget = { iterations = 10 }
config = { lr = 0.5 }
source = "table 1"
sure = "verified"
published = [{ metric = "modes", value = 7, protocol = "2,500 samples" }, { metric = "modes_hq", protocol = "all" }]
"""


def own(folder: Path, recipe: str) -> str:
    """A model in a file of one's own, with a recipe beside it."""
    code = (Path(__file__).parent / "strange_models.py").read_text().replace('"quick_noise"', '"mine"')
    (folder / "mine.py").write_text(code)
    (folder / "mine.toml").write_text(recipe)
    return f"{folder / 'mine.py'}:Quick"


def test_a_model_of_ones_own_has_its_recipes_beside_it(tmp_path: Path) -> None:
    ref = own(tmp_path, GOOD)
    assert MODELS.get(ref).name == "mine"
    (job,) = plan(Selection("test", (ref,), ("ring8",), (0,), "paper", ("modes",), 200))
    assert (job.spec.config, job.spec.budget, job.skip) == ({"lr": 0.5}, {"iterations": 10}, None)
    (recipe,) = recipes.of([ref])[ref]
    assert [(p.metric, p.value, p.source) for p in recipe.published] == [
        ("modes", 7.0, "table 1"),
        ("modes_hq", None, "table 1"),
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (GOOD.replace("[[recipe]]", "[[recipe]"), "mine.toml is not TOML"),
        (GOOD.replace("iterations = 10", "epochs = 10"), "recipe 1: .*exactly one of iterations"),
        (GOOD.replace("iterations = 10", "iterations = 10, seconds = 1"), "exactly one of"),
        (GOOD.replace("value = 7", "value = nan"), "recipe 1: published.0.value"),
        (GOOD.replace("value", "published"), "published.0.published"),
        (GOOD.replace('sure = "verified"', 'sure = "certain"'), "published.0.sure"),
        (GOOD.replace('dataset = "ring8"', ""), "recipe 1: dataset"),
        (GOOD.replace("[[recipe]]", "[[recipes]]"), "must hold .*recipe"),
        ("recipe = 1", "must hold .*recipe"),
        (GOOD[: GOOD.index("published")] + "published = []", "at least one metric"),
    ],
)
def test_a_damaged_file_is_refused_with_its_name_and_field(tmp_path: Path, wrong: str, said: str) -> None:
    with pytest.raises(BadConfig, match=said):
        recipes.load(MODELS.get(own(tmp_path, wrong)))


def test_reading_recipes_imports_no_torch() -> None:
    code = (
        "import sys; from ganbench.registry.recipes import of; assert of(['pacgan']); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)


def test_recipes_are_installed_with_the_models() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    assert "**/*.toml" in project["tool"]["setuptools"]["package-data"]["baselines"]
