"""The Sinkhorn divergence against POT, finite differences and its two limits."""

import ot
import pytest
import torch
from torch.testing import assert_close

from ganbench.ops.pairwise import squared_distances
from ganbench.ops.sinkhorn import potentials, sinkhorn_divergence


@pytest.fixture
def clouds(rng):
    return torch.randn(30, 2, generator=rng).double(), torch.randn(40, 2, generator=rng).double() + 1


def entropic_value(x, y, epsilon):
    """<P, C> + epsilon KL(P | a b) through POT, whose own entropy is taken without the reference measure."""
    cost = squared_distances(x, y).numpy()
    plan = ot.sinkhorn([], [], cost, epsilon, method="sinkhorn_log", numItermax=20_000, stopThr=1e-13)
    plan = torch.from_numpy(plan)
    kl = (plan * (plan * len(x) * len(y)).clamp(min=1e-300).log()).sum()
    return (plan * torch.from_numpy(cost)).sum() + epsilon * kl


@pytest.mark.parametrize("epsilon", [0.3, 2.0])
def test_value_is_that_of_pot(clouds, epsilon):
    x, y = clouds
    expected = entropic_value(x, y, epsilon) - entropic_value(x, x, epsilon) / 2 - entropic_value(y, y, epsilon) / 2
    assert_close(sinkhorn_divergence(x, y, epsilon, steps=600), expected, rtol=1e-5, atol=1e-6)


def test_gradient_is_that_of_the_value(clouds):
    x, y = clouds
    x = x.requires_grad_()
    (gradient,) = torch.autograd.grad(sinkhorn_divergence(x, y, 0.5, steps=400), x)
    step = torch.zeros_like(x)
    step[3, 1] = 1e-4
    with torch.no_grad():
        up, down = (sinkhorn_divergence(x + s * step, y, 0.5, steps=400) for s in (1, -1))
    assert_close(gradient[3, 1], (up - down) / 2e-4, rtol=1e-4, atol=1e-7)


def test_equal_sets_are_at_distance_zero_and_a_long_blur_sees_means_only(clouds):
    x, y = clouds
    assert_close(sinkhorn_divergence(x, x.clone(), 0.1, steps=100), torch.zeros((), dtype=x.dtype), rtol=0, atol=1e-6)
    means = (x.mean(0) - y.mean(0)).square().sum()
    assert_close(sinkhorn_divergence(x, y, 1e5), means, rtol=1e-3, atol=0)


def test_a_short_blur_is_the_assignment_cost(clouds):
    x, y = clouds[0], clouds[1][:30]
    exact = ot.emd2([], [], squared_distances(x, y).numpy())
    f, g = potentials(squared_distances(x, y), 1e-3, 2000, torch.tensor(40.0))
    assert_close((f.mean() + g.mean()).item(), exact, rtol=2e-2, atol=0)
