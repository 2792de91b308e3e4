"""The Wasserstein metric: closed forms, metric axioms, coverage of its error bar, and what is refused."""

import math

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import BadInput
from ganbench.metrics.wasserstein import wasserstein


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


@pytest.mark.parametrize("p", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("d", [1, 2, 30])
def test_a_moved_cloud_is_as_far_as_it_moved(p, d):
    x, t = normal(150, d), normal(d, seed=1)
    order = torch.randperm(150, generator=rng())
    assert_close(wasserstein(x, x[order] + t, rng=rng(), p=p).value, float(t.norm()), rtol=1e-9, atol=0)


def test_one_point_against_two():
    assert wasserstein(torch.zeros(1, 1), torch.tensor([[-1.0], [1.0]]), rng=rng()).value == pytest.approx(1, abs=1e-12)


def test_symmetry_and_triangle_inequality():
    x, y, z = normal(100, 3), normal(120, 3, seed=1) + 1, normal(80, 3, seed=2) - 1
    d = lambda a, b: wasserstein(a, b, rng=rng()).value  # noqa: E731
    assert_close(d(x, y), d(y, x), rtol=1e-10, atol=0)
    assert d(x, z) <= d(x, y) + d(y, z)


def test_images_are_flattened_and_float16_agrees():
    x, y = normal(60, 1, 8, 8), normal(60, 1, 8, 8, seed=1)
    value = wasserstein(x, y, rng=rng()).value
    assert_close(value, wasserstein(x.flatten(1), y.flatten(1), rng=rng()).value, rtol=1e-12, atol=0)
    assert_close(value, wasserstein(x.half(), y.half(), rng=rng()).value, rtol=1e-3, atol=0)


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_error_bar_covers_the_mean_of_the_estimate(p):
    scores = [
        wasserstein(normal(100, 2, seed=2 * s), 1.3 * normal(100, 2, seed=2 * s + 1) + 0.7, rng=rng(), p=p)
        for s in range(400)
    ]
    truth = sum(s.value for s in scores) / len(scores)
    covered = sum(abs(s.value - truth) <= 1.96 * s.se for s in scores) / len(scores)
    assert 0.90 <= covered <= 0.98


def test_draws_are_seeded_stated_and_capped():
    x, y = normal(300, 2), normal(300, 2, seed=1)
    a, b = (wasserstein(x, y, rng=rng(4), n=100) for _ in range(2))
    assert a.value == b.value
    assert (a.n, a.extra["m"]) == (100, 100)
    assert "n=100|m=100" in a.signature
    assert wasserstein(x, y, rng=rng(5), n=100).value != a.value


def test_the_certificate_brackets_the_value():
    score = wasserstein(normal(500, 5), normal(400, 5, seed=1), rng=rng(), p=2.0)
    low, high = score.extra["bracket"]
    assert low <= score.value + 1e-9
    assert score.value == high
    assert score.extra["gap"] <= 1e-9 * score.extra["primal"]
    assert_close(math.sqrt(score.extra["primal"]), score.value, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("samples", "reference", "options", "message"),
    [
        (normal(0, 2), normal(5, 2), {}, "samples must hold at least 1"),
        (normal(5, 2), normal(5, 3), {}, "share an event shape"),
        (normal(5, 2) / 0, normal(5, 2), {}, "samples must be finite"),
        (torch.zeros(5, 2, dtype=torch.uint8), normal(5, 2), {}, "floating point"),
        (normal(5, 2), normal(5, 2), {"p": 0.9}, "p must be at least 1"),
        (normal(5, 2), normal(5, 2), {"n": 0}, "n must be at least 1"),
        (normal(50, 2), normal(50, 2), {"limit": 1000}, "draw at most 15"),
    ],
)
def test_bad_input_is_refused_by_name(samples, reference, options, message):
    with pytest.raises(BadInput, match=message):
        wasserstein(samples, reference, rng=rng(), **options)
