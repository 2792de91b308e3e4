"""Samples of a class are judged to be of that class, and few labels make a classifier, after short trainings."""

from __future__ import annotations

import pytest
import torch

from ganbench import seeding
from ganbench.datasets.load import load
from ganbench.engine.loop import train
from ganbench.model import Budget
from ganbench.registry import MODELS
from ganbench.scorers.load import load_scorer

PER_CLASS = 5


def trained(name: str, iterations: int):  # type: ignore[no-untyped-def]
    data = load("digits")
    y = data.train.y
    assert y is not None
    few = torch.cat([torch.nonzero(y == k).flatten()[:PER_CLASS] for k in range(10)])
    cls = MODELS.load(name)
    split = data.train.with_labels(few) if "labels" in cls.needs else data.train
    model = cls(cls.configure(data.spec))
    with seeding.global_stream("init", name):
        model.build(data.spec)
    train(model, split, Budget(iterations=iterations), torch.Generator().manual_seed(0))
    return model, data.holdout


@pytest.mark.slow
@pytest.mark.parametrize(("name", "iterations"), [("aae_supervised", 1500), ("aae_semisup", 2000), ("m1_m2", 4000)])
def test_samples_of_a_class_are_judged_to_be_of_it(name: str, iterations: int) -> None:
    model, _ = trained(name, iterations)
    y = torch.arange(500) % 10
    with torch.no_grad():
        samples = model.sample(500, torch.Generator().manual_seed(1), y)
    judged = load_scorer("digits_cnn").probs(samples).argmax(1)
    assert (judged == y).float().mean() > 0.2  # chance is 0.1, with a deviation of 0.013


@pytest.mark.slow
@pytest.mark.parametrize(("name", "iterations"), [("ladder", 1000), ("aae_semisup", 1500), ("aae_dimred", 1500)])
def test_fifty_labels_classify_most_digits(name: str, iterations: int) -> None:
    model, holdout = trained(name, iterations)
    assert holdout.y is not None
    with torch.no_grad():
        right = (model.classify(holdout.events()).argmax(1) == holdout.y).float().mean()
    assert right > 0.7
