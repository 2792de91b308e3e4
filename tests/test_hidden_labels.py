"""No label outside the draw touches training: with all hidden labels permuted, every run is the same bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganbench.data import Split
from ganbench.datasets.base import Dataset
from ganbench.datasets.labels import draw_labels
from ganbench.jobs import runner
from ganbench.jobs.shown import training_data
from ganbench.jobs.spec import Job, JobSpec
from ganbench.registry import MODELS
from ganbench.scoring.inputs import Workplace

FEW = [e.name for e in MODELS if "labels" in e.needs]
LABELS = 20
CHEATER = '''
import torch
from ganbench.model import Model, register


@register("cheater", family="x", gives=("classify",), needs=("labels",))
class Cheater(Model):
    """Remembers every label it is shown, hidden ones included."""

    def build(self, spec):
        self.k = spec.n_classes
        self.register_buffer("seen", torch.zeros(spec.n_train, dtype=torch.long))

    def fit(self, data, budget, rng):
        self.seen.copy_(data.y)

    def classify(self, x):
        return torch.zeros(len(x), self.k)
'''


class Place(Workplace):
    """A workplace whose one data set is given."""

    def __init__(self, data: Dataset) -> None:
        super().__init__()
        self.data = data

    def dataset(self, ref: str, data_dir: str | None = None) -> Dataset:
        return self.data


@pytest.fixture(scope="module")
def twins() -> tuple[Dataset, Dataset, Tensor]:
    """Digits that reveal 20 labels, the same with the hidden labels permuted, and which rows are revealed."""
    data = Workplace().dataset("digits")
    y = data.train.y
    assert y is not None
    chosen = draw_labels(data.train, data.spec, LABELS, 0)
    hidden = torch.ones(len(y), dtype=torch.bool)
    hidden[chosen] = False
    poisoned = y.clone()
    rows = hidden.nonzero().squeeze(1)
    poisoned[rows] = y[rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]]
    assert int((poisoned != y).sum()) > 600
    assert torch.equal(poisoned[chosen], y[chosen])
    clean, other = (replace(data, train=Split(data.train.x, labels, chosen)) for labels in (y, poisoned))
    return clean, other, chosen


def trained(name: str, ref: str, data: Dataset, folder: Path) -> dict[str, Any]:
    """The hashes of all that a run leaves, and its scores."""
    spec = JobSpec(
        model=name, dataset="digits", scale="custom", budget={"iterations": 3}, seed=0, n_samples=64,
        metrics=("classification_error",), labels=LABELS,
    )  # fmt: skip
    folder.mkdir()
    record = runner.run_job(Job(spec, ref, "digits"), Place(data), folder, save_weights=True)
    assert record.status == "ok", record.reason
    left = {a["kind"]: a["sha256"] for a in record.artifacts}
    assert "weights" in left
    return {"left": left, "scores": {m.name: m.value for m in record.metrics}}


@pytest.mark.parametrize("name", FEW)
def test_hidden_labels_do_not_touch_training(name: str, twins: Any, tmp_path: Path) -> None:
    clean, poisoned, _ = twins
    a, b = (trained(name, name, d, tmp_path / f) for d, f in ((clean, "a"), (poisoned, "b")))
    assert a == b


def test_a_model_that_reads_all_labels_sees_none_of_the_hidden(twins: Any, tmp_path: Path) -> None:
    clean, poisoned, chosen = twins
    file = tmp_path / "cheater.py"
    file.write_text(CHEATER)
    ref = f"{file}:Cheater"
    assert trained("cheater", ref, clean, tmp_path / "a") == trained("cheater", ref, poisoned, tmp_path / "b")
    cls = MODELS.load(ref)
    model = cls()
    model.build(clean.spec)
    spec = JobSpec(
        model="cheater", dataset="digits", scale="custom", seed=0, n_samples=2, metrics=(), labels=LABELS
    )  # fmt: skip
    shown = training_data(model, clean, spec).y
    assert shown is not None
    assert (shown == -1).sum() == len(shown) - LABELS
    assert torch.equal(shown[chosen], clean.train.y[chosen])


def test_the_same_model_would_be_caught_if_labels_leaked(
    twins: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean, poisoned, _ = twins
    file = tmp_path / "cheater.py"
    file.write_text(CHEATER)
    monkeypatch.setattr(Split, "with_labels", lambda split, index: replace(split, labelled=index))
    a, b = (trained("cheater", f"{file}:Cheater", d, tmp_path / f) for d, f in ((clean, "a"), (poisoned, "b")))
    assert a["left"]["weights"] != b["left"]["weights"]
