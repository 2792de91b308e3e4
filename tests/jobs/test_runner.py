"""`run_job` takes one job to a record: labels reach only who asked, streams are kept apart, nothing raises past it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ganbench.data import DataSpec, Split
from ganbench.datasets.base import Dataset
from ganbench.errors import BadConfig, BadInput, NotApplicable, UnknownName
from ganbench.jobs import runner, shown
from ganbench.jobs.plan import Selection, plan
from ganbench.jobs.records import parse_record
from ganbench.jobs.spec import Job
from ganbench.model import Budget, Model
from ganbench.model.make import config_fields, resolve_config
from ganbench.scoring.draws import check_samples
from ganbench.scoring.inputs import Workplace

QUICK = "tests/strange_models.py:Quick"
BASE = Selection(
    "smoke", (QUICK,), ("ring8",), (0,), "smoke", ("modes", "semi_supervised_accuracy"), 200, budget={"iterations": 2}
)


def job(**changes: object) -> Job:
    return plan(replace(BASE, **changes))[0]  # type: ignore[arg-type]


def test_a_job_leaves_a_whole_record(tmp_path: Path) -> None:
    record = runner.run_job(job(models=("gan_ns",)), Workplace(), tmp_path, save_weights=True)
    assert record.status == "ok", record.reason
    assert parse_record(record.to_json()) == record
    assert {m.name for m in record.metrics} >= {"modes", "modes_hq"}
    assert record.metrics[0].floor == 8
    assert (record.iterations, record.examples) == (2, 2 * 2 * 64)
    assert record.n_parameters["total"] == record.n_parameters["generator"] + record.n_parameters["discriminator"]
    assert {"data_s", "build_s", "train_s", "sample_s", "score_s", "write_s", "wall_s"} <= set(record.timing)
    assert record.timing["examples_per_s"] > 0
    assert {a["kind"] for a in record.artifacts} == {"history", "samples", "picture", "weights"}
    assert all((tmp_path / a["path"]).stat().st_size == a["bytes"] for a in record.artifacts)
    assert set(json.loads((tmp_path / "history.json").read_text())) == {"discriminator", "generator"}
    assert np.load(tmp_path / "samples.npz")["samples"].shape == (200, 2)


def test_the_same_job_gives_the_same_values_and_the_global_stream_is_left_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = runner.run_job(job(models=("gan_ns",)), Workplace())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    second = runner.run_job(job(models=("gan_ns",)), Workplace())
    other = runner.run_job(job(models=("gan_ns",), seeds=(1,)), Workplace())
    assert [m.value for m in first.metrics] == [m.value for m in second.metrics]
    assert first.metrics[1].extra != other.metrics[1].extra or first.metrics != other.metrics


def test_a_deterministic_job_says_so_is_another_job_and_leaves_the_switch_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    monkeypatch.setattr(runner, "train", lambda *a, **k: seen.append(torch.are_deterministic_algorithms_enabled()))
    strict, plain = job(deterministic=True), job()
    assert strict.spec.job_id != plain.spec.job_id
    assert "deterministic" not in plain.spec.model_dump(mode="json")
    records = [runner.run_job(j, Workplace()) for j in (strict, plain)]
    assert seen == [r.determinism["deterministic_algorithms"] for r in records] == [True, False]
    assert not torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        for each in (strict, plain):
            runner.run_job(each, Workplace())
            assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (MemoryError(), "oom", "train: out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "oom", "train: RuntimeError: Default"),
        (SystemExit(3), "failed", "train: SystemExit: 3"),
        (ValueError("in /home/bob/secret/model.py: bad"), "failed", "train: ValueError: in model.py: bad"),
        (NotApplicable("not for me"), "skipped", "not for me"),
    ],
)
def test_every_end_has_a_status(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, status: str, reason: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(runner, "train", fail)
    record = runner.run_job(job(), Workplace())
    assert record.status == status
    assert str(record.reason).startswith(reason)
    assert "bob" not in record.to_json()


def test_labels_reach_only_models_that_asked() -> None:
    y = torch.arange(200) % 4
    data = Dataset(DataSpec("d", (2,), n_classes=4), Split(torch.randn(200, 2), y), *[Split(torch.randn(5, 2))] * 2)
    spec = job().spec

    def given(needs: tuple[str, ...]) -> Split:
        model = Model()
        model.needs = needs  # type: ignore[misc]
        return shown.training_data(model, data, spec)

    assert given(()).y is None
    assert given(("y",)).labelled is None
    few = given(("labels",))
    assert few.labelled is not None
    assert torch.equal(torch.bincount(y[few.labelled]), torch.full((4,), shown.LABELLED_PER_CLASS))
    again = given(("labels",)).labelled
    assert again is not None
    assert torch.equal(few.labelled, again)
    unlabelled = replace(data, train=Split(data.train.x))
    model = Model()
    model.needs = ("y",)  # type: ignore[misc]
    with pytest.raises(NotApplicable, match="learns from labels"):
        shown.training_data(model, unlabelled, spec)


def test_samples_are_checked_at_the_door() -> None:
    images = DataSpec("i", (1, 2, 2), (-1.0, 1.0))
    good = torch.zeros(3, 1, 2, 2)
    assert float(check_samples(good + 1.0005, images).max()) == 1
    for bad, why in ((good.long(), "floating"), (good + 3, r"\[-1, 1\]; got \[3, 3\]"), (good / 0, "finite; 3 of 3")):
        with pytest.raises(BadInput, match=why):
            check_samples(bad, images)


def test_a_job_without_a_budget_is_refused() -> None:
    spec = job().spec
    assert runner.budget_of(spec) == Budget(iterations=2)
    with pytest.raises(BadConfig, match="exactly one of iterations"):
        runner.budget_of(spec.model_copy(update={"budget": {}, "scale": "paper"}))


def test_configs_are_coerced_and_defaults_dropped() -> None:
    assert resolve_config("gan_ns", {"lr": "0.01", "latent_dim": 7}) == {"lr": 0.01, "latent_dim": 7}
    default = config_fields("gan_ns")
    kept = resolve_config("gan_ns", default)
    assert kept == {key: default[key] for key in ("latent_dim", "lr", "decay")}  # which images have otherwise
    with pytest.raises(UnknownName, match="did you mean lr"):
        resolve_config("gan_ns", {"lrr": 1})


def test_files_are_kept_although_the_folder_vanishes_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, left = tmp_path / "run" / "job", [3]
    monkeypatch.setattr(runner.time, "sleep", lambda seconds: None)

    def write() -> str:
        if left[0]:
            left[0] -= 1
            shutil.rmtree(tmp_path / "run")
        (folder / "history.json").write_text("{}")
        return "history.json"

    assert runner._kept(folder, write) == "history.json"
    left[0] = 9
    with pytest.raises(FileNotFoundError):
        runner._kept(folder, write)
