"""Entropies and divergences of predictions, against closed values."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from ganbench.losses.categorical import categorical_kl, conditional_entropy, entropy, marginal_entropy

UNIFORM = torch.zeros(8, 5)
CERTAIN = 1e4 * torch.eye(5)  # one prediction of each class


@pytest.mark.parametrize("of", [conditional_entropy, marginal_entropy])
def test_uniform_predictions_have_entropy_log_k(of):
    assert_close(of(UNIFORM), torch.tensor(math.log(5)))


def test_certain_predictions_have_entropy_0_and_may_still_use_all_classes():
    assert_close(entropy(CERTAIN), torch.zeros(5))
    assert_close(conditional_entropy(CERTAIN), torch.tensor(0.0))
    assert_close(marginal_entropy(CERTAIN), torch.tensor(math.log(5)))
    assert_close(marginal_entropy(CERTAIN[[2, 2, 2]]), torch.tensor(0.0))
    assert_close(marginal_entropy(CERTAIN[[0, 1]]), torch.tensor(math.log(2)))


def test_marginal_less_conditional_entropy_is_the_mean_divergence_from_the_mean(rng):
    logits = 3 * torch.randn(20, 5, generator=rng, dtype=torch.float64)
    mean = logits.softmax(1).mean(0).log().expand_as(logits)
    information = marginal_entropy(logits) - conditional_entropy(logits)
    assert_close(information, categorical_kl(logits, mean).mean())
    assert information > 0


def test_kl_is_that_of_torch_and_nothing_for_equal_predictions(rng):
    p, q = torch.randn(2, 20, 5, generator=rng, dtype=torch.float64)
    ours = torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=p), torch.distributions.Categorical(logits=q)
    )
    assert_close(categorical_kl(p, q), ours)
    assert_close(categorical_kl(p, p + 7), torch.zeros(20, dtype=torch.float64), atol=1e-12, rtol=0)
