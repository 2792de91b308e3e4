"""Leak tests as statistics: how often they speak of honest samples, and of copies moved, mixed or rescaled."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from ganbench.datasets.base import Dataset
from ganbench.errors import MissingResource
from ganbench.scoring.leaks import LEVEL, find_leaks, nearest, same_set

SIZES = {"ring8": 2500, "grid25": 2500, "digits": 500, "mnist": 10_000}  # of the boards
MIXED = 0.2  # share of leaked samples among fresh ones


def data(place: Any, name: str) -> Dataset:
    try:
        found: Dataset = place.dataset(name)
    except MissingResource as error:
        pytest.skip(str(error))
    return found


def fresh(d: Dataset, n: int, rng: torch.Generator) -> Tensor:
    """Draws of the data's density; where there is none, training events, which know nothing of test and holdout."""
    if d.mixture is not None:
        return d.mixture.sample(n, rng)[0]
    return d.train.events(torch.randint(len(d.train), (n,), generator=rng))


def leaked(d: Dataset, split: str, n: int, how: str, share: float, rng: torch.Generator) -> Tensor:
    """Samples of which `share` are events of a split, moved by a part of the distance between its neighbours."""
    events = getattr(d, split).events()
    rows = torch.randperm(len(events), generator=rng)[:n]
    x = events[rows]
    near = nearest(events[:1000].flatten(1), events.flatten(1), 2)[0][:, 1].median()
    if how == "rounded":
        step = 0.25 if d.spec.is_image else 1e-4
        x = (x / step).round() * step
    elif how == "rescaled":
        x = (x + 1) * 0.7 - 1 if d.spec.is_image else x * 1.0001
    else:
        noise = torch.randn(x.shape, generator=rng)
        length = noise.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))
        x = x + noise / length * near * float(how)
    x = x if d.spec.domain is None else x.clamp(*d.spec.domain)
    mixed = torch.cat([x[: int(share * len(x))], fresh(d, len(x) - int(share * len(x)), rng)])
    return mixed[torch.randperm(len(mixed), generator=rng)]


def found(d: Dataset, name: str, draws: int, make: Callable[[torch.Generator], Tensor], split: str | None) -> int:
    """In how many of the draws a leak of that split is found; of any of the two hidden ones for None."""
    splits = ("test", "holdout") if split is None else (split,)
    if d.mixture is not None and split is None:
        splits = ("test", "holdout", "train")
    tasks = 2 if name in ("ring8", "grid25") else 1
    hits = 0
    for i in range(draws):
        x = make(torch.Generator().manual_seed(1000 + i))
        hits += any(leak.split in splits for leak in find_leaks([x], d, LEVEL / tasks))
    return hits


WAYS = ("0.01", "0.25", "0.5", "rounded", "rescaled")


FEW = [
    ("ring8", "test", "0.5"),
    ("digits", "holdout", "0.5"),
    ("digits", "train", "rescaled"),
    ("digits", "test", "rounded"),
]


@pytest.mark.parametrize(("name", "split", "how"), FEW)
def test_a_fifth_of_moved_copies_is_found(name: str, split: str, how: str, place: Any) -> None:
    d = data(place, name)
    assert found(d, name, 3, lambda g: leaked(d, split, SIZES[name], how, MIXED, g), split) == 3


@pytest.mark.parametrize("name", ["ring8", "digits"])
def test_fresh_real_events_are_not_flagged(name: str, place: Any) -> None:
    d = data(place, name)
    assert found(d, name, 4, lambda g: fresh(d, SIZES[name], g), None) == 0


@pytest.mark.slow
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("split", ["test", "holdout", "train"])
@pytest.mark.parametrize("name", ["ring8", "grid25", "digits", "mnist"])
def test_power_is_99_percent(name: str, split: str, how: str, place: Any) -> None:
    """All of 100 (MNIST: 5) draws: at a power of 0.97 all would be found with a probability below 5 %."""
    d = data(place, name)
    draws = 5 if name == "mnist" else 100
    assert found(d, name, draws, lambda g: leaked(d, split, SIZES[name], how, MIXED, g), split) >= 0.99 * draws


@pytest.mark.slow
@pytest.mark.parametrize(("name", "draws"), [("ring8", 200), ("digits", 200), ("mnist", 10)])
def test_honest_samples_are_flagged_as_rarely_as_said(name: str, draws: int, place: Any) -> None:
    d = data(place, name)
    hits = found(d, name, draws, lambda g: fresh(d, SIZES[name], g), None)
    assert stats.binomtest(hits, draws, 0.01, alternative="greater").pvalue > 0.001


def test_the_level_is_exact_for_a_generator_that_is_nothing_like_the_data(place: Any) -> None:
    """Collapsed on few points, so that all samples share a few neighbours: the worst case for counting rows as free."""
    d = data(place, "digits")
    level, draws = 0.2, 25

    def collapsed(g: torch.Generator) -> Tensor:
        points = torch.rand(3, 1, 8, 8, generator=g) * 2 - 1
        return (points[torch.randint(3, (500,), generator=g)] + 0.01 * torch.randn(500, 1, 8, 8, generator=g)).clamp(
            -1, 1
        )

    found = [find_leaks([collapsed(torch.Generator().manual_seed(i))], d, 2 * level) for i in range(draws)]
    hits = sum(any(leak.split != "train" for leak in leaks_) for leaks_ in found)
    assert stats.binomtest(hits, draws, level, alternative="greater").pvalue > 0.001


def test_a_poor_generator_may_lie_nearer_to_a_split_that_is_a_little_different(place: Any) -> None:
    """As MNIST's test digits are by other writers: all samples are nearer to paler pictures, none is near any."""
    d = data(place, "digits")
    paler = dataclasses.replace(d.test, x=(d.test.events() + 1) * 0.955 - 1)
    rng = torch.Generator().manual_seed(0)
    blurred = torch.nn.functional.avg_pool2d(fresh(d, 500, rng), 3, 1, 1)
    assert find_leaks([blurred], dataclasses.replace(d, test=paler)) == []


def test_the_controls_are_flagged_for_the_right_reason(place: Any) -> None:
    d, rng = data(place, "digits"), torch.Generator().manual_seed(0)
    part = d.train.events(slice(0, 400))
    memoriser = part[torch.randint(400, (500,), generator=rng)]
    assert [k.split for k in find_leaks([memoriser], d)] == ["train"]
    assert [k.split for k in find_leaks([d.holdout.events()], d)] == ["holdout"]
    assert find_leaks([torch.rand(500, 1, 8, 8, generator=rng) * 2 - 1], d) == []
    assert find_leaks([torch.full((500, 1, 8, 8), 0.1)], d) == []


def test_a_set_is_the_same_in_another_order_or_moved_a_little() -> None:
    rng = torch.Generator().manual_seed(0)
    for d in (2, 64):
        x, y = (torch.randn(800, d, generator=rng) for _ in range(2))
        order = torch.randperm(800, generator=rng)
        near = nearest(x, x, 2)[0][:, 1].median().float()
        noise = torch.nn.functional.normalize(torch.randn(800, d, generator=rng), dim=1) * near
        assert same_set(x, x[order])
        assert same_set(x, (x + 0.05 * noise)[order])
        assert same_set(x, torch.cat([x[:400], y[:400]])[order])  # half of it
        assert not same_set(x, y)
        assert not same_set(x.round(), y.round())  # few values: twins within each set as well
