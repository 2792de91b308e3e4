"""What matching makes of a conditional GAN in the population: its optimum is (p - w q) / (1 - w), by quadrature."""

from __future__ import annotations

import math

import pytest
import torch

from ganbench.losses.conditional import discriminator_matching

X = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
DX = float(X[1] - X[0])


def normal(mean, std):
    return torch.exp(-0.5 * ((X - mean) / std).square()) / (std * math.sqrt(2 * math.pi))


P, Q = normal(0.0, 1.0), normal(0.3, 0.7)  # right and wrong pairs under one condition; q / p is bounded


def nodes(density, n=20_000):
    """Points of equal probability: the midpoint rule of the density's quantiles."""
    cdf = torch.cumulative_trapezoid(density, dx=DX)
    cdf = torch.cat([torch.zeros(1, dtype=torch.float64), cdf]) / cdf[-1]
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    right = torch.searchsorted(cdf, u).clamp(1, len(X) - 1)
    left = right - 1
    return X[left] + DX * (u - cdf[left]) / (cdf[right] - cdf[left])


def at(function, points):
    """Values of a function on the grid at points between, linearly."""
    place = (points - X[0]) / DX
    left = place.long().clamp(0, len(X) - 2)
    return torch.lerp(function[left], function[left + 1], place - left)


def best_loss(p_g, w, p=P, q=Q):
    """The loss of the discriminator that is the best against p_g: log D* - log (1 - D*) = log p - log m."""
    m = w * q + (1 - w) * p_g
    logits = (p.clamp_min(1e-300).log() - m.clamp_min(1e-300).log()).clamp(-50, 50)
    real, wrong, fake = (at(logits, nodes(density)) for density in (p, q, p_g))
    return float(discriminator_matching(real, wrong, fake, w))


@pytest.mark.parametrize("w", [0.0, 0.25, 0.5])
def test_the_optimum_is_the_closed_form(w):
    """There the mixture of false pairs is p, the discriminator knows nothing, and its loss is log 4; elsewhere less."""
    p_g = (P - w * Q) / (1 - w)
    assert p_g.min() >= 0
    assert torch.trapezoid(p_g, dx=DX) == pytest.approx(1, abs=1e-9)
    assert best_loss(p_g, w) == pytest.approx(math.log(4), abs=1e-6)
    for other in (normal(0.2, 1.0), normal(0.0, 1.1), 0.9 * p_g + 0.1 * Q):
        assert best_loss(other, w) < math.log(4) - 1e-4
    if w:
        assert best_loss(P, w) < math.log(4) - 1e-4  # so a generator that has learnt the data is told to leave it


@pytest.mark.parametrize("w", [0.25, 0.5])
def test_the_loss_is_a_jensen_shannon_divergence_to_the_mixture(w):
    p_g = normal(0.5, 1.2)
    m = w * Q + (1 - w) * p_g
    half = (P + m) / 2
    divergence = sum(0.5 * float(torch.trapezoid(f * (f / half).log(), dx=DX)) for f in (P, m))
    assert best_loss(p_g, w) == pytest.approx(math.log(4) - 2 * divergence, abs=1e-5)  # nodes stop short of tails


def test_where_classes_do_not_overlap_matching_changes_nothing():
    far = normal(7.0, 0.3)
    right = normal(-2.0, 0.5)
    losses = [best_loss(g, 0.5, p=right, q=far) for g in (right, normal(-1.9, 0.5), normal(-2.0, 0.55))]
    assert losses[0] > max(losses[1:]) + 1e-4
