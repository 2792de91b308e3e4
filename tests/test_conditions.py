"""Conditions: what reaches a model of them, in paired and in unpaired data, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from ganbench.data import Condition, DataSpec, Split
from ganbench.datasets.base import assemble, fingerprint
from ganbench.engine.loop import train
from ganbench.engine.turns import Batches
from ganbench.errors import BadInput, NotApplicable
from ganbench.jobs.fitting import incompatible
from ganbench.jobs.shown import training_data
from ganbench.jobs.spec import JobSpec
from ganbench.model import Budget, Config, Model, Player
from ganbench.registry import DatasetInfo, ModelInfo

N = 40


class Reader(Model):
    """Remembers what its loss was given."""

    @dataclass(frozen=True)
    class Config(Config):
        batch_size: int = 8

    needs = ("cond",)
    conditions = ("image",)

    def build(self, spec):
        self.spec, self.net, self.seen = spec, nn.Linear(1, 1), []

    def players(self):
        return [Player("reader", self.net, self.loss, partial(torch.optim.SGD, lr=0.1))]

    def loss(self, batch):
        self.seen.append(batch)
        return self.net.weight.square().sum()


def splits(paired=True):
    """Row i of x holds i; its condition holds i too where the data is paired, N + i elsewhere."""
    rows = torch.arange(N).float()
    x = rows.view(N, 1, 1, 1).expand(N, 1, 2, 2).contiguous()
    cond = x if paired else x[: N // 2] + N
    return Split(x, cond=cond), Split(x, cond=x), Split(x, cond=x)


def data(paired=True, kind="image"):
    made = assemble("pairs", *splits(paired), cond=Condition("image", (1, 2, 2), paired))
    return replace(made, spec=replace(made.spec, cond=Condition(kind, (1, 2, 2), paired)))


def built(dataset, **changes):
    model = Reader()
    for name, value in changes.items():
        setattr(model, name, value)
    model.build(dataset.spec)
    return model


def spec():
    return JobSpec(model="reader", dataset="pairs", scale="smoke", seed=0, metrics=(), n_samples=10)


def test_paired_conditions_belong_to_their_events():
    dataset = data()
    model = built(dataset)
    train(model, training_data(model, dataset, spec()), Budget(iterations=12), torch.Generator().manual_seed(0))
    assert all(torch.equal(batch.x, batch.cond) for batch in model.seen)


def test_unpaired_conditions_come_from_examples_of_their_own_each_once_an_epoch():
    dataset = data(paired=False)
    model = built(dataset)
    train(model, training_data(model, dataset, spec()), Budget(iterations=4), torch.Generator().manual_seed(0))
    drawn = torch.cat([batch.cond[:, 0, 0, 0] for batch in model.seen])
    assert drawn.min() >= N
    assert len(drawn[: 2 * 8].unique()) == 16  # an epoch of 20 conditions holds two whole batches
    assert torch.corrcoef(torch.stack([torch.cat([b.x[:, 0, 0, 0] for b in model.seen]), drawn]))[0, 1].abs() < 0.5


def test_a_model_that_did_not_ask_never_sees_a_condition():
    dataset = data()
    model = built(dataset, needs=())
    assert training_data(model, dataset, spec()).cond is None
    train(model, training_data(model, dataset, spec()), Budget(iterations=3), torch.Generator().manual_seed(0))
    assert all(batch.cond is None for batch in model.seen)


def test_labels_alone_bring_no_condition():
    first, second, third = (replace(s, y=torch.zeros(N, dtype=torch.int64)) for s in splits())
    dataset = assemble("pairs", first, second, third, n_classes=1, cond=Condition("image", (1, 2, 2)))
    assert training_data(built(dataset, needs=("y",)), dataset, spec()).cond is None
    assert training_data(built(dataset, needs=("y", "cond")), dataset, spec()).cond is not None


def test_training_goes_on_from_a_checkpoint_with_the_same_conditions(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("ganbench.engine.loop.SAVE_EVERY", 0.0)
    monkeypatch.setattr("ganbench.engine.loop.CHUNK", 1)
    dataset = data(paired=False)

    def run(iterations, path):
        model = built(dataset)
        train(model, training_data(model, dataset, spec()), Budget(iterations=iterations),
              torch.Generator().manual_seed(0), checkpoint=path)  # fmt: skip
        return [batch.cond for batch in model.seen]

    whole = run(9, None)
    first, rest = run(4, tmp_path / "c"), run(9, tmp_path / "c")
    assert len(rest) < 9
    assert all(torch.equal(a, b) for a, b in zip(whole, first + rest[-5:], strict=True))


@pytest.mark.parametrize(
    ("dataset", "needs", "reason"),
    [
        (data(kind="attributes"), ("cond",), "makes events from image; pairs has attributes conditions"),
        (data(paired=False), ("cond", "pairs"), "learns from pairs; pairs is unpaired"),
        (assemble("plain", *(Split(torch.zeros(N, 2)) for _ in range(3))), ("cond",), "plain has none"),
    ],
)
def test_data_that_does_not_fit_is_refused_before_training(dataset, needs, reason):
    with pytest.raises(NotApplicable, match=reason):
        training_data(built(dataset, needs=needs), dataset, spec())


def test_planning_knows_it_without_importing_a_model():
    model = ModelInfo("m", "m", "M", Path(), family="f", needs=("cond", "pairs"), conditions=("image",))

    def found(**meta):
        return incompatible(model, DatasetInfo("d", "d", "d", Path(), event="image", **meta))

    assert found(cond="image") is None
    assert found() == "m makes events from image; d has none"
    assert found(cond="tokens") == "m makes events from image; d has tokens conditions"
    assert found(cond="image", paired=False) == "m learns from pairs; d is unpaired"
    assert "takes vector or image events; d holds clip events" in str(
        incompatible(ModelInfo("m", "m", "M", Path()), DatasetInfo("d", "d", "d", Path(), event="clip"))
    )


def test_conditions_are_part_of_the_data_and_are_checked():
    train_, holdout, test = splits()
    moved = replace(train_, cond=train_.cond + 1)
    assert fingerprint(train_) != fingerprint(moved)
    cond = Condition("image", (1, 2, 2))
    with pytest.raises(BadInput, match="test conditions must have shape"):
        assemble("d", train_, holdout, replace(test, cond=test.cond[:, :, :1]), cond=cond)
    with pytest.raises(BadInput, match="train must hold one condition per event; got 20 for 40"):
        assemble("d", splits(paired=False)[0], holdout, test, cond=cond)
    with pytest.raises(BadInput, match="conditions or none; the test split"):
        assemble("d", train_, holdout, replace(test, cond=None), cond=cond)


def test_an_event_knows_its_kind():
    def kind(shape, **more):
        return DataSpec("d", shape, **more).kind

    assert [kind((2,)), kind((1, 8, 8)), kind((5, 1, 8, 8)), kind((12,), vocabulary=60)] == [
        "vector", "image", "clip", "tokens",
    ]  # fmt: skip
    assert not DataSpec("d", (5, 1, 8, 8)).is_image


def test_batches_take_pixels_of_conditions_to_the_domain():
    dataset = data()
    split = Split(dataset.train.x, cond=torch.full((N, 1, 2, 2), 255, dtype=torch.uint8))
    batches = Batches(built(dataset), split, torch.Generator().manual_seed(0))
    assert torch.equal(batches.gather(batches.draw()).cond, torch.ones(8, 1, 2, 2))
