"""Parzen windows against closed forms and scikit-learn's kernel density."""

import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import KernelDensity
from torch.testing import assert_close

from ganbench.errors import BadInput
from ganbench.metrics.likelihood import log_density, parzen


def test_parzen_on_one_sample_is_a_gaussian():
    point, centre = torch.tensor([[0.3]], dtype=torch.float64), torch.tensor([[1.0]], dtype=torch.float64)
    expected = -0.5 * (0.7 / 0.2) ** 2 - math.log(0.2 * math.sqrt(2 * math.pi))
    assert_close(
        log_density(point, centre, torch.tensor([0.2], dtype=torch.float64)).item(), expected, rtol=1e-12, atol=0
    )


def test_parzen_agrees_with_scikit_learn(rng):
    x, y = (torch.randn(300, 3, generator=rng).double() for _ in range(2))
    other = KernelDensity(bandwidth=0.4).fit(x.numpy()).score_samples(y.numpy())
    assert_close(log_density(y, x, torch.tensor([0.4]).double())[:, 0], torch.from_numpy(other), rtol=1e-8, atol=1e-8)
    score = parzen(x, y, y, bandwidth=0.4)
    assert_close(score.value, float(np.mean(other)), rtol=1e-8, atol=0)
    assert_close(score.se, float(np.std(other, ddof=1)) / 300**0.5, rtol=1e-8, atol=0)


def test_parzen_of_images_is_that_of_pixels_in_the_unit_interval(rng):
    x, y, held = (torch.rand(50, 1, 3, 3, generator=rng).double() for _ in range(3))
    score = parzen(2 * x - 1, 2 * y - 1, 2 * held - 1)
    widths = np.logspace(-1, 0, 10)

    def mean(points, width):
        return KernelDensity(bandwidth=width).fit(x.flatten(1).numpy()).score(points.flatten(1).numpy()) / len(points)

    best = max(widths, key=lambda w: mean(held, w))
    assert_close(score.extra["bandwidth"], float(best))
    assert_close(score.value, float(mean(y, best)), rtol=1e-8, atol=0)


def test_parzen_chooses_the_width_on_holdout_alone(rng):
    x, y, held = (torch.randn(400, 2, generator=rng) for _ in range(3))
    score, other = parzen(x, y, held), parzen(x, y + 100, held)
    assert score.extra["bandwidth"] == other.extra["bandwidth"]
    assert not score.extra["bandwidth_at_end"]
    # Near the entropy of the law, from below: windows blur it.
    assert -1.15 * math.log(2 * math.pi * math.e) < score.value < -math.log(2 * math.pi * math.e) + 4.5 * score.se


def test_parzen_refuses_sets_that_do_not_go_together(rng):
    x = torch.randn(20, 2, generator=rng)
    with pytest.raises(BadInput, match="samples and holdout must share"):
        parzen(x, x, torch.randn(20, 3, generator=rng))
    with pytest.raises(BadInput, match="row 3 of 20"):
        parzen(x.index_fill(0, torch.tensor([3]), math.nan), x, x)
    with pytest.raises(BadInput, match="bandwidth must be positive"):
        parzen(x, x, x, bandwidth=0.0)
