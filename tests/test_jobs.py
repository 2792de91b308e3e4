"""A job's id changes with what can move a score and with nothing else; plans come in an order that can be cut short."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ganbench import jobs, source, suites
from ganbench.errors import BadConfig, UnknownName
from ganbench.jobs import JobSpec, Selection
from ganbench.registry import DATASETS, MODELS

BASE = Selection("smoke", ("gan_ns", "gmm"), ("ring8",), (0, 1), "smoke", ("modes", "mmd"), 500)
SPEC = JobSpec(
    model="m", dataset="d", scale="smoke", budget={"iterations": 5}, seed=0, metrics=("modes",), n_samples=10
)


def test_id_is_the_hash_of_the_canonical_json() -> None:
    text = json.dumps(SPEC.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    import hashlib

    assert SPEC.job_id == hashlib.sha256(text.encode()).hexdigest()
    assert JobSpec.model_validate_json(SPEC.model_dump_json()).job_id == SPEC.job_id


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"config": {"lr": 0.1}},
        {"dataset": "e"},
        {"budget": {"iterations": 6}},
        {"seed": 1},
        {"metrics": ("mmd",)},
        {"n_samples": 11},
        {"device": "cuda"},
        {"versions": {"torch": "2.0"}},
        {"code_sha256": "x"},
    ],
)
def test_whatever_can_move_a_score_moves_the_id(change: dict[str, object]) -> None:
    assert SPEC.model_copy(update=change).job_id != SPEC.job_id


def test_order_of_keys_does_not_matter() -> None:
    one = SPEC.model_copy(update={"config": {"a": 1, "b": 2}})
    two = SPEC.model_copy(update={"config": {"b": 2, "a": 1}})
    assert one.job_id == two.job_id


def test_plan_finishes_one_seed_before_the_next() -> None:
    planned = jobs.plan(BASE)
    assert [(j.spec.seed, j.spec.model) for j in planned] == [(0, "gan_ns"), (0, "gmm"), (1, "gan_ns"), (1, "gmm")]
    assert len({j.spec.job_id for j in planned}) == 4
    assert planned[0].spec.budget == {"iterations": DATASETS.get("ring8").meta["iterations"]["smoke"]}


def test_pairs_that_do_not_go_together_are_skipped_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "m.py"
    file.write_text(
        "from ganbench.model import Model, register\n"
        '@register("flat_labels", family="x", events=("vector",), needs=("y",))\n'
        "class A(Model):\n    pass\n"
    )
    planned = jobs.plan(replace(BASE, models=(f"{file}:A",), datasets=("digits", "gaussian", "ring8"), seeds=(0,)))
    assert [j.skip for j in planned] == [
        "flat_labels takes vector events; digits holds image events",
        "flat_labels learns from labels; gaussian has none",
        None,
    ]
    assert str(tmp_path) not in planned[2].spec.model_dump_json()


def test_selectors() -> None:
    names = [j.spec.model for j in jobs.plan(replace(BASE, models=("gan_*", "gmm"), seeds=(0,)))]
    assert names == [*(e.name for e in MODELS if e.name.startswith("gan_")), "gmm"]
    families = {MODELS.get(j.spec.model).meta["family"] for j in jobs.plan(replace(BASE, models=("family:classical",)))}
    assert families == {"classical"}
    with pytest.raises(UnknownName, match="did you mean gan_ns"):
        jobs.plan(replace(BASE, models=("gan_nss",)))
    with pytest.raises(UnknownName, match="adversarial"):
        jobs.plan(replace(BASE, models=("family:adversarail",)))
    with pytest.raises(UnknownName, match="did you mean"):
        jobs.plan(replace(BASE, datasets=("ring",)))
    with pytest.raises(UnknownName, match="metric"):
        jobs.metric_names(("modez",))


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", (0, 1, 2)), ("4-6", (4, 5, 6)), ("1,5", (1, 5)), ("7,", (7,)), ("1", (0,))]
)
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert jobs.parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["0", "-1", "x", "3-1", "1,1", "", "1-2-3", "99999999", "9" * 40])
def test_bad_seeds(text: str) -> None:
    with pytest.raises(BadConfig, match="seeds are"):
        jobs.parse_seeds(text)


@pytest.mark.parametrize("text", ["", "5", "iterations", "iterations=x", "iterations=-1", "steps=5", "seconds=nan"])
def test_bad_budgets(text: str) -> None:
    with pytest.raises(BadConfig, match="a budget is"):
        jobs.parse_budget(text)


def test_settings() -> None:
    found = list(jobs.parse_sets(["lr=1e-3", "a.hidden=[8,8]", "architecture=mlp"], ["a", "b"]))
    assert found == [(None, "lr", 1e-3), ("a", "hidden", [8, 8]), (None, "architecture", "mlp")]
    with pytest.raises(UnknownName, match="did you mean a"):
        list(jobs.parse_sets(["aa.lr=1"], ["a"]))
    with pytest.raises(BadConfig, match="key=value"):
        list(jobs.parse_sets(["lr"], ["a"]))


def test_code_hash_follows_imports_and_nothing_else(tmp_path: Path) -> None:
    model, helper, other = tmp_path / "m.py", "ganbench.nn", "ganbench.bench"
    model.write_text(
        f"from {helper} import make_generator\nfrom ganbench.model import Model, register\n"
        '@register("a", family="x")\nclass A(Model):\n    pass\n'
    )
    files = source._closure(model, str(model))
    assert "m.py" in files
    assert any(name.startswith("ganbench.nn.") for name in files)
    assert "ganbench.model" in files
    assert not any(name.startswith((other, "ganbench.report", "ganbench.errors")) for name in files)
    before = source.code_sha256(MODELS.get(f"{model}:A"))
    source._closure.cache_clear()
    source.file_hash.cache_clear()
    assert source.code_sha256(MODELS.get(f"{model}:A")) == before
    model.write_text(model.read_text() + "# changed\n")
    source._closure.cache_clear()
    source.file_hash.cache_clear()
    assert source.code_sha256(MODELS.get(f"{model}:A")) != before


def test_every_suite_plans() -> None:
    for name in suites.names():
        suite = suites.load(name)
        assert suite.scale in jobs.SCALES
        metrics = jobs.metric_names(suite.metrics)
        selection = Selection(name, suite.models, suite.datasets, (0,), suite.scale, metrics, suite.n_samples)
        assert len(jobs.plan(selection)) >= 3


def test_bad_suites(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean smoke"):
        suites.load("smok")
    with pytest.raises(BadConfig, match=r"no suite file 'x.toml'"):
        suites.load("x.toml")
    file = tmp_path / "mine.toml"
    for text, match in (
        ("about = 'x'\nmodel = []", "did you mean models"),
        ("about = 3", "about must be a str"),
        ("= 3", "is not TOML"),
    ):
        file.write_text(text)
        with pytest.raises((BadConfig, UnknownName), match=match):
            suites.load(str(file))


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"model": "a"}, "a"),
        ({"model": "a", "config": {}, "labels": None}, "a"),
        ({"model": "a", "config": {"lr": 0.1, "act": "relu"}}, "a[act=relu,lr=0.1]"),
        ({"model": "a", "labels": 50}, "a[labels=50]"),
        ({"model": "a", "config": {"lr": 0.1}, "labels": 50, "draw": 0}, "a[draw=0,labels=50,lr=0.1]"),
    ],
)
def test_a_row_is_a_model_with_what_sets_it_apart(spec: dict[str, Any], name: str) -> None:
    assert jobs.row_name(spec) == name
