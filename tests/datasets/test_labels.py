"""Draws of labels: balanced, nested, seeded by their number alone; what cannot be drawn is refused before training."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ganbench import seeding
from ganbench.data import DataSpec, Split
from ganbench.datasets.base import Dataset
from ganbench.datasets.labels import USUAL, draw_labels, few_labels
from ganbench.errors import BadInput, NotApplicable
from ganbench.jobs import runner
from ganbench.jobs.plan import Selection, plan
from ganbench.jobs.spec import Job, JobSpec
from ganbench.registry import METRICS
from ganbench.scoring.inputs import Inputs, Workplace, label_draws

K = 4
Y = torch.arange(400) % K
SPEC = DataSpec("d", (2,), n_classes=K)


def rng() -> torch.Generator:
    return seeding.stream("labels", "d", 0)


def test_draws_are_balanced_nested_and_go_by_their_number() -> None:
    split = Split(torch.zeros(400, 2), Y)
    draws = {n: draw_labels(split, SPEC, n, 3) for n in (20, 40, 200)}
    for n, rows in draws.items():
        assert torch.bincount(Y[rows]).tolist() == [n // K] * K
        assert len(set(rows.tolist())) == n
    assert set(draws[20].tolist()) < set(draws[40].tolist()) < set(draws[200].tolist())
    assert torch.equal(draws[20], draw_labels(split, SPEC, 20, 3))
    assert not torch.equal(draws[20], draw_labels(split, SPEC, 20, 4))
    assert torch.equal(draw_labels(replace(split, labelled=draws[20]), SPEC, 20, 9), draws[20])


@pytest.mark.parametrize(
    ("y", "count", "message"),
    [
        (Y, 404, "404 labels ask for 101 examples of every class; class 0 has 100"),
        (Y, 22, "multiple of the 4 classes, for a balanced draw; got 22"),
        (Y, 0, "multiple of the 4 classes"),
        (Y % 3, 8, "class 3 has 0"),
        (Y + 1, 8, "training labels must be 0 to 3; row 3 of 400 is 4"),
        (Y - 1, 8, "row 0 of 400 is -1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(y: Tensor, count: int, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        few_labels(y, count, rng(), K)


def test_a_data_set_that_chooses_its_labels_is_not_overruled() -> None:
    split = Split(torch.zeros(400, 2), Y, torch.arange(8))
    with pytest.raises(BadInput, match="says itself which 8 labels are seen; got 20"):
        draw_labels(split, SPEC, 20, 0)
    with pytest.raises(NotApplicable, match="d has none"):
        draw_labels(Split(split.x), SPEC, 20, 0)


def dataset(y: Tensor | None = Y, test_y: Tensor | None = None) -> Dataset:
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    test = Split(x, (Y if test_y is None else test_y) if y is not None else None)
    return Dataset(SPEC, Split(x, y), test, test)


def test_a_curve_has_the_counts_that_the_data_allows() -> None:
    assert list(label_draws(dataset(), (), 0)) == [n for n in USUAL if n % K == 0]
    assert list(label_draws(dataset(Y[:110]), (), 0)) == [20, 100]  # 50 is no multiple of 4; 200 are not there
    assert list(label_draws(dataset(), (8, 40), 0)) == [8, 40]
    few = draw_labels(dataset().train, SPEC, 20, 5)
    inputs = Inputs(Workplace(), "d", dataset(), 10, 1, label_counts=[20], draw=5)
    assert torch.equal(inputs.get("label_draws", METRICS.get("svm_error"))[20], few)


class Place(Workplace):
    def __init__(self, data: Dataset) -> None:
        super().__init__()
        self.data = data

    def dataset(self, ref: str, data_dir: str | None = None) -> Dataset:
        return self.data


@pytest.mark.parametrize(
    ("data", "model", "more", "status", "reason"),
    [
        (dataset(), "ssl_gan", {"labels": 404}, "failed", "class 0 has 100"),
        (dataset(), "ssl_gan", {"labels": 22}, "failed", "multiple of the 4 classes"),
        (dataset(Y % 3), "ssl_gan", {"labels": 8}, "failed", "class 3 has 0"),
        (dataset(Y + 1), "ssl_gan", {"labels": 8}, "failed", "training labels must be 0 to 3"),
        (dataset(Y, Y + 1), "ssl_gan", {"labels": 8}, "failed", "test labels must be 0 to 3; row 3"),
        (dataset(None), "ssl_gan", {"labels": 8}, "skipped", "d has none"),
        (dataset(), "gan_ns", {"label_counts": [8, 22]}, "failed", "multiple of the 4 classes"),
        (dataset(None), "gan_ns", {}, "skipped", "svm_error, classification_error need labels; d has none"),
    ],
)
def test_bad_labels_end_a_job_before_training(
    data: Dataset, model: str, more: dict[str, object], status: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "train", lambda *a, **k: pytest.fail("it trained"))
    spec = JobSpec(
        model=model, dataset="d", scale="custom", budget={"iterations": 1}, seed=0, n_samples=10,
        metrics=("svm_error", "classification_error"), **more,
    )  # fmt: skip
    record = runner.run_job(Job(spec, model, "d"), Place(data))
    assert record.status == status
    assert reason in str(record.reason)


def select(models: tuple[str, ...], **more: object) -> list[Job]:
    base = Selection("ssl", models, ("digits",), (0,), "smoke", ("classification_error",), 50)
    return plan(replace(base, **more))  # type: ignore[arg-type]


def test_a_model_that_no_metric_fits_is_not_trained() -> None:
    (job,) = select(("gmm",))
    assert job.skip == "classification_error needs a model that gives classify; gmm does not"
    (job,) = select(("gmm",), metrics=("classification_error", "svm_error"))
    assert "svm_error needs a model that gives encode or features; gmm does not" in str(job.skip)
    (job,) = select(("gmm",), metrics=("classification_error", "mmd"))
    assert job.skip is None
    (job,) = select(("gan_ns",), datasets=("gaussian",), metrics=("svm_error",))
    assert job.skip == "svm_error needs labels; gaussian has none"


def test_label_counts_are_jobs_of_few_label_models_and_a_curve_of_the_others() -> None:
    jobs = select(("ssl_gan", "gan_ns"), labels=(20, 50), metrics=("classification_error", "svm_error"))
    said = [(j.spec.model, j.spec.labels, j.spec.label_counts) for j in jobs]
    assert said == [("ssl_gan", 20, None), ("ssl_gan", 50, None), ("gan_ns", None, [20, 50])]
    assert [j.spec.row for j in jobs] == ["ssl_gan[labels=20]", "ssl_gan[labels=50]", "gan_ns"]
    jobs = select(("ssl_gan",), labels=(20,), draws=(0, 1), seeds=(0, 1))
    assert [(j.spec.seed, j.spec.draw) for j in jobs] == [(s, d) for s in (0, 1) for d in (0, 1)]
    assert {j.spec.labels for j in jobs} == {20}


def test_a_recipe_is_run_with_the_labels_it_speaks_of() -> None:
    base = Selection("ssl", ("ssl_gan",), ("mnist",), (0,), "paper", ("classification_error",), 50)
    assert [j.spec.labels for j in plan(base)] == [20, 50, 100, 200]
    chosen = plan(replace(base, labels=(100, 200)))
    assert [j.spec.labels for j in chosen] == [100, 200]
    (other,) = plan(replace(base, labels=(30,)))
    assert other.skip == "ssl_gan has no published recipe for mnist with 30 labels"
