"""Merged partial results are the whole's, however it was cut; parts of different computations are refused."""

from __future__ import annotations

import pickle
import random
from functools import reduce
from itertools import pairwise
from operator import add

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganbench.data import Mixture
from ganbench.errors import BadConfig, BadInput
from ganbench.metrics.frechet import Moments, frechet_distance
from ganbench.metrics.inception import (
    ClassSums,
    inception_score,
    mode_score,
    mode_score_from_sums,
    score_from_sums,
    split_groups,
)
from ganbench.metrics.mmd import KIDSums, MMDSums, kid, mmd
from ganbench.metrics.modes import ModeSums, modes
from ganbench.metrics.sliced import SlicedSums, sliced_wasserstein

TOTAL = st.integers(1, 9)
CUTS = st.sets(st.integers(1, 299), max_size=8)
SEED = st.integers(0, 2**31)
FAST = settings(max_examples=20, deadline=None, derandomize=True)
# Tiles and projections are the same in every share; only float64 sums of them are ordered differently.
ROUNDING = {"rel": 1e-12, "abs": 1e-15}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=rng(seed)).to(dtype)


def merged(parts, seed=0):
    """The sum of parts in any order, each having crossed a process boundary."""
    parts = [pickle.loads(pickle.dumps(part)) for part in parts]
    random.Random(seed).shuffle(parts)
    return reduce(add, parts)


def shards(x, cuts):
    edges = [0, *sorted(c for c in cuts if c < len(x)), len(x)]
    return [x[a:b] for a, b in pairwise(edges)]


def assert_same(found, expected):
    assert found.value == pytest.approx(expected.value, **ROUNDING)
    assert found.se == pytest.approx(expected.se, **ROUNDING)
    assert found.interval == pytest.approx(expected.interval)
    assert (found.name, found.n, found.signature) == (expected.name, expected.n, expected.signature)
    assert found.extra.keys() == expected.extra.keys()


@FAST
@given(TOTAL, SEED, st.sampled_from(["rbf", "imq", "polynomial", "linear"]), st.sampled_from(["float32", "float64"]))
def test_mmd_of_shares(total, seed, kernel, dtype):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganbench.ops.pairwise.tile_size", lambda x: 16)
        x, y = normal(150, 3, seed=seed % 99, dtype=getattr(torch, dtype)), normal(90, 3, dtype=getattr(torch, dtype))
        sums = merged([MMDSums.of(x, y, kernel=kernel, part=(k, total)) for k in range(total)], seed)
        assert_same(sums.score(), mmd(x, y, rng=rng(), kernel=kernel))
        root = {"estimator": "biased", "root": True}
        assert_same(sums.score(**root), mmd(x, y, rng=rng(), kernel=kernel, **root))


@FAST
@given(TOTAL, SEED)
def test_kid_of_shares(total, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganbench.ops.pairwise.tile_size", lambda x: 16)
        x, y, options = normal(90, 6, seed=1) + 0.3, normal(120, 6), {"subsets": 7, "subset_size": 20}
        parts = [KIDSums.of(x, y, rng=rng(seed), part=(k, total), **options) for k in range(total)]
        for found, expected in zip(merged(parts, seed).scores(), kid(x, y, rng=rng(seed), **options), strict=True):
            assert_same(found, expected)


@FAST
@given(TOTAL, SEED, st.sampled_from([1.0, 2.0, 3.5]), st.sampled_from(["orthogonal", "gaussian"]))
def test_sliced_wasserstein_of_shares(total, seed, p, kind):
    x, y = normal(60, 4, seed=1, dtype=torch.float64) * 2, normal(45, 4, dtype=torch.float64)
    options = {"p": p, "kind": kind, "n_directions": 40}
    parts = [SlicedSums.of(x, y, rng=rng(seed), part=(k, total), **options) for k in range(total)]
    assert_same(merged(parts, seed).score(), sliced_wasserstein(x, y, rng=rng(seed), **options))


@FAST
@given(CUTS, SEED)
def test_modes_of_shards(cuts, seed):
    mixture = Mixture(normal(5, 2), 0.3)
    x = mixture.sample(300, rng(seed))[0] * 1.1
    found = merged([ModeSums.of(part, mixture) for part in shards(x, cuts)], seed).scores()
    assert found == modes(x, mixture)  # integers


@FAST
@given(CUTS, SEED, st.sampled_from([1, 10]))
def test_inception_score_of_shards(cuts, seed, splits):
    p = normal(300, 5, seed=seed % 99, dtype=torch.float64).mul_(2).softmax(1)
    group = split_groups(300, splits, rng(seed))
    n_groups = int(group.max()) + 1
    parts = [ClassSums.of(*pair, n_groups) for pair in zip(shards(p, cuts), shards(group, cuts), strict=True)]
    found = score_from_sums(merged(parts, seed), splits, shuffle=True, class_sorted=False, space="probs")
    assert_same(found, inception_score(p, rng=rng(seed), splits=splits))


@FAST
@given(CUTS, SEED)
def test_mode_score_and_frechet_of_shards(cuts, seed):
    p, r = (normal(300, 5, seed=s, dtype=torch.float64).softmax(1) for s in (1, 2))
    group = torch.arange(300) % 100
    g = merged([ClassSums.of(*q, 100) for q in zip(shards(p, cuts), shards(group, cuts), strict=True)], seed)
    assert_same(mode_score_from_sums(g, ClassSums.of(r, group, 100), "probs"), mode_score(p, r))
    moments = merged([Moments.of(part) for part in shards(p, cuts)], seed)
    # a root of the covariance magnifies rounding where it is singular, as that of probabilities is
    whole = frechet_distance(Moments.of(p), Moments.of(r))
    assert frechet_distance(moments, Moments.of(r)) == pytest.approx(whole, rel=1e-8)


X, Y = normal(40, 3, seed=1), normal(30, 3)


def mmd_sums(samples=X, **options):
    return MMDSums.of(samples, Y, **({"bandwidth": 1.0, "part": (0, 2)} | options))


def sliced_sums(k, seed=0, **options):
    return SlicedSums.of(X, Y, rng=rng(seed), part=(k, 2), **options)


@pytest.mark.parametrize(
    ("message", "a", "b"),
    [
        (r"kernel differ: RBF.*1\.0.*RBF.*2\.0", mmd_sums(), mmd_sums(bandwidth=2.0, part=(1, 2))),
        (r"kernel differ", mmd_sums(), mmd_sums(kernel="linear", part=(1, 2))),
        (r"n differ: 40 and 39", mmd_sums(), mmd_sums(X[:-1], part=(1, 2))),
        (r"total differ: 2 and 3", mmd_sums(), mmd_sums(part=(1, 3))),
        (r"got 0 of 2 twice", mmd_sums(), mmd_sums()),
        (r"same subsets", *(KIDSums.of(X, Y, rng=rng(k), subsets=3, part=(k, 2)) for k in (0, 1))),
        (r"one set of directions", sliced_sums(0), sliced_sums(1, seed=1)),
        (r"one set of directions", sliced_sums(0), sliced_sums(1, n_directions=400)),
        (r"p differ", sliced_sums(0), sliced_sums(1, p=1.0)),
        (r"one mixture", *(ModeSums.of(Y, Mixture(normal(4, 3, seed=k), 0.1)) for k in (0, 1))),
        (r"radius differ", *(ModeSums.of(Y, Mixture(Y[:4], 0.1), radius=k) for k in (2.0, 3.0))),
        (r"groups and classes", *(ClassSums.of(Y.softmax(1), torch.zeros(30).long(), k) for k in (1, 2))),
        (r"number of features", Moments.of(X), Moments.of(X[:, :2])),
    ],
)
def test_parts_of_different_computations_are_refused(message, a, b):
    with pytest.raises(BadInput, match=message):
        a + b


def test_a_score_waits_for_every_share():
    with pytest.raises(BadInput, match=r"all 2 shares.*; 1 is missing"):
        mmd_sums().score()
    with pytest.raises(BadInput, match=r"0 is missing"):
        sliced_sums(1).score()
    with pytest.raises(BadConfig, match="share k of K"):
        mmd_sums(part=(2, 2))
