"""Likelihood terms against torch.distributions and closed values."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.testing import assert_close

from ganbench.losses.likelihoods import (
    bernoulli_log_prob,
    gaussian_kl,
    gaussian_log_prob,
    log_mean_exp,
    standard_normal_log_prob,
)


def test_gaussian_log_prob_agrees_with_torch_distributions(rng: torch.Generator) -> None:
    x, mean, log_std = torch.randn(3, 5, 2, 3, 4, generator=rng).double()
    expected = Normal(mean, log_std.exp()).log_prob(x).sum((1, 2, 3))
    assert_close(gaussian_log_prob(x, mean, log_std), expected)


def test_one_deviation_for_all_counts_once_per_dimension(rng: torch.Generator) -> None:
    x, mean = torch.randn(2, 5, 7, generator=rng).double()
    expected = Normal(mean, 0.1).log_prob(x).sum(1)
    assert_close(gaussian_log_prob(x, mean, torch.tensor(math.log(0.1)).double()), expected, rtol=1e-6, atol=1e-6)


def test_standard_normal_log_prob_agrees_with_torch_distributions(rng: torch.Generator) -> None:
    z = torch.randn(6, 3, generator=rng).double()
    assert_close(standard_normal_log_prob(z), Normal(torch.tensor(0.0).double(), 1.0).log_prob(z).sum(1))


def test_bernoulli_log_prob_agrees_with_torch_distributions_on_binary_pixels(rng: torch.Generator) -> None:
    x = torch.randint(2, (5, 1, 3, 3), generator=rng).double()
    logits = 3 * torch.randn(5, 1, 3, 3, generator=rng).double()
    assert_close(bernoulli_log_prob(x, logits), Bernoulli(logits=logits).log_prob(x).sum((1, 2, 3)))


def test_bernoulli_log_prob_sums_to_one_over_all_binary_images(rng: torch.Generator) -> None:
    x = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4).double()
    logits = torch.randn(1, 4, generator=rng).double().expand(16, 4)
    assert_close(bernoulli_log_prob(x, logits).exp().sum(), torch.tensor(1.0).double())


def test_bernoulli_log_prob_stays_finite_at_extreme_logits() -> None:
    assert_close(bernoulli_log_prob(torch.tensor([[1.0, 0.0]]), torch.tensor([[-1e4, 1e4]])), torch.tensor([-2e4]))


def test_gaussian_kl_agrees_with_torch_distributions_and_is_zero_at_the_prior(rng: torch.Generator) -> None:
    mean, log_var = torch.randn(2, 5, 3, generator=rng).double()
    prior = Normal(torch.zeros_like(mean), 1.0)
    assert_close(gaussian_kl(mean, log_var), kl_divergence(Normal(mean, (0.5 * log_var).exp()), prior).sum(1))
    assert_close(gaussian_kl(torch.zeros(2, 3), torch.zeros(2, 3)), torch.zeros(2))


def test_log_mean_exp_agrees_with_logsumexp_and_survives_large_weights(rng: torch.Generator) -> None:
    log_w = 50 * torch.randn(9, 4, generator=rng).double() + 2000
    assert_close(log_mean_exp(log_w.unbind()), log_w.logsumexp(0) - math.log(9))


def test_log_mean_exp_refuses_no_draws() -> None:
    with pytest.raises(ValueError, match="at least one draw"):
        log_mean_exp([])
