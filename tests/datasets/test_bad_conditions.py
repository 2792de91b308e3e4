"""Conditions that no model could be trained on are refused with the reason when the data set is made."""

from __future__ import annotations

import contextlib

import pytest
import torch

from ganbench.data import Condition, Split
from ganbench.datasets.base import assemble
from ganbench.errors import BadInput, NotApplicable
from ganbench.jobs.fitting import incompatible
from ganbench.registry import DATASETS, MODELS

N = 12
IMAGES = Condition("image", (1, 4, 4))
CAPTIONS = Condition("tokens", (3,), vocabulary=5)
BITS = Condition("attributes", (2,), names=("a", "b"))
CONDITIONAL = [e for e in MODELS if e.conditions]


def made(cond, held):
    split = Split(torch.zeros(N, 1, 4, 4), cond=held)
    return assemble("d", split, split, split, domain=(-1, 1), cond=cond)


def words(*row):
    return torch.tensor([list(row)]).expand(N, 3)


@pytest.mark.parametrize(
    ("cond", "held", "reason"),
    [
        (IMAGES, torch.full((N, 1, 4, 4), 200.0), r"must lie in \[-1, 1\]; got .*pixels"),
        (IMAGES, torch.full((N, 1, 4, 4), torch.nan), "finite"),
        (IMAGES, torch.zeros(N, 1, 4, 4, dtype=torch.int64), "uint8 pixels or finite floats"),
        (IMAGES, torch.zeros(N, 1, 2, 2), "must have shape"),
        (CAPTIONS, words(-1, -1, -1), "one word at least"),
        (CAPTIONS, words(1, -1, 2), "only after their last word"),
        (CAPTIONS, words(1, 5, -1), "words from 0 to 4"),
        (CAPTIONS, words(1, 2, -2), "words from 0 to 4"),
        (CAPTIONS, words(1, 2, 3).float(), "int64"),
        (BITS, torch.full((N, 2), 0.5), "-1 or 1"),
        (BITS, torch.zeros(N, 2), "-1 or 1"),
        (BITS, torch.ones(N, 2, dtype=torch.int64), "floats"),
    ],
)
def test_values_of_another_kind_are_refused_by_name(cond, held, reason):
    with pytest.raises(BadInput, match=f"(?s)train conditions.*{reason}"):
        made(cond, held)


@pytest.mark.parametrize(
    ("cond", "held"),
    [
        (IMAGES, torch.full((N, 1, 4, 4), 255, dtype=torch.uint8)),
        (IMAGES, torch.ones(N, 1, 4, 4)),
        (CAPTIONS, words(4, 0, -1)),
        (BITS, torch.tensor([[1.0, -1.0]]).expand(N, 2)),
    ],
)
def test_right_ones_are_taken(cond, held):
    assert made(cond, held).spec.cond == cond


@pytest.mark.parametrize("model", CONDITIONAL, ids=lambda e: e.name)
def test_planning_refuses_what_a_model_cannot_be_made_for(model):
    """Of every data set: none without conditions, none of another kind, no unpaired one for a model of pairs."""
    for data in DATASETS:
        kind, paired = data.cond, data.paired
        wrong = kind not in model.conditions or ("pairs" in model.needs and not paired)
        if wrong and not data.prefix:
            assert incompatible(model, data), data.name


@pytest.mark.parametrize("model", [e for e in CONDITIONAL if e.family != "control"], ids=lambda e: e.name)
@pytest.mark.parametrize(
    "cond", [None, Condition("image", (1, 3, 3), paired=False), Condition("attributes", (2,)), CAPTIONS]
)
def test_building_refuses_it_too_before_any_training(model, cond):
    """A spec of the wrong kind is refused with the data's name."""
    from ganbench.data import DataSpec

    cls = model.load()
    spec = DataSpec("strange", (1, 8, 8), (-1.0, 1.0), 4, 64, 64, cond=cond)
    fits = cond is not None and cond.kind in cls.conditions and (cond.paired or "pairs" not in cls.needs)
    with contextlib.suppress(NotApplicable) if fits else pytest.raises(NotApplicable, match="strange"):
        cls(cls.configure(spec)).build(spec)
