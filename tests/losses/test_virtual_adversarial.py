"""The virtual adversarial perturbation: its length, its direction where known, what it does to predictions."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from ganbench.losses.categorical import categorical_kl
from ganbench.losses.virtual_adversarial import unit, virtual_adversarial_perturbation


def test_unit_vectors_survive_underflow_and_zeros_stay_zeros():
    x = torch.tensor([[3.0, 4.0], [3e-30, 4e-30], [0.0, 0.0], [3e30, 4e30]])
    assert_close(unit(x), torch.tensor([[0.6, 0.8], [0.6, 0.8], [0.0, 0.0], [0.6, 0.8]]))


@pytest.mark.parametrize("epsilon", [0.3, 2.0])
def test_perturbations_have_length_epsilon(rng, epsilon):
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    x = torch.randn(30, 1, 4, 4, generator=rng)
    r = virtual_adversarial_perturbation(classifier, x, classifier(x), rng, epsilon=epsilon, xi=1e-3)
    assert r.shape == x.shape
    assert_close(r.flatten(1).norm(dim=1), torch.full((30,), epsilon))
    assert all(p.grad is None for p in classifier.parameters())


def test_of_two_classes_and_linear_logits_it_is_the_weights_direction(rng):
    w = torch.tensor([1.0, -2.0, 2.0])

    def classifier(x):
        return torch.stack([x @ w, torch.zeros(len(x))], 1)

    x = 0.3 * torch.randn(20, 3, generator=rng)
    r = virtual_adversarial_perturbation(classifier, x, classifier(x), rng, epsilon=0.3, xi=1e-2)
    assert_close((r @ w).abs(), torch.full((20,), 0.3 * 3.0))  # |w| = 3


def test_power_iterations_find_the_fisher_matrix_dominant_eigenvector(rng):
    a = torch.randn(4, 6, generator=rng, dtype=torch.float64)
    x = torch.randn(1, 6, generator=rng, dtype=torch.float64)
    p = (x @ a.T).softmax(1)[0]
    fisher = a.T @ (torch.diag(p) - torch.outer(p, p)) @ a
    top = torch.linalg.eigh(fisher).eigenvectors[:, -1]
    r = virtual_adversarial_perturbation(lambda x: x @ a.T, x, x @ a.T, rng, epsilon=1.0, xi=1e-5, steps=100)
    assert_close((r @ top).abs(), torch.ones(1, dtype=torch.float64), atol=1e-4, rtol=0)


def test_it_raises_kl_more_than_random_directions_of_equal_length(rng):
    classifier = nn.Sequential(nn.Linear(20, 64), nn.Tanh(), nn.Linear(64, 5))
    with torch.no_grad():
        for p in classifier.parameters():
            p.mul_(3)
    x = torch.randn(200, 20, generator=rng)
    logits = classifier(x)
    r = virtual_adversarial_perturbation(classifier, x, logits, rng, epsilon=0.3, xi=1e-3)
    random = 0.3 * unit(torch.randn(x.shape, generator=rng))
    adversarial, chance = (categorical_kl(logits, classifier(x + d)) for d in (r, random))
    assert (adversarial > chance).float().mean() > 0.9
    assert adversarial.mean() > 3 * chance.mean()
