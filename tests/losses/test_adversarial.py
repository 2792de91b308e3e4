"""Adversarial losses against the formulas as the papers print them, on probabilities in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ganbench.losses import adversarial as adv

close = torch.testing.assert_close
REAL = torch.tensor([-2.0, 0.3, 1.7, 4.0], dtype=torch.float64)
FAKE = torch.tensor([-1.5, 0.0, 2.2, -3.0], dtype=torch.float64)


def sigmoid(v: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-v))


def test_cross_entropy_losses_are_the_printed_logarithms() -> None:
    d_real, d_fake = sigmoid(REAL), sigmoid(FAKE)
    close(adv.discriminator_bce(REAL, FAKE), -d_real.log().mean() - (1 - d_fake).log().mean())
    close(adv.generator_minimax(FAKE), (1 - d_fake).log().mean())
    close(adv.generator_non_saturating(FAKE), -d_fake.log().mean())


def test_smoothed_cross_entropy_has_the_printed_optimum() -> None:
    alpha, beta = 0.9, 0.1
    d_real, d_fake = sigmoid(REAL), sigmoid(FAKE)
    by_hand = -(alpha * d_real.log() + (1 - alpha) * (1 - d_real).log()).mean()
    by_hand -= (beta * d_fake.log() + (1 - beta) * (1 - d_fake).log()).mean()
    close(adv.discriminator_bce_smoothed(REAL, FAKE, alpha, beta), by_hand)
    close(adv.discriminator_bce_smoothed(REAL, FAKE, 1.0, 0.0), adv.discriminator_bce(REAL, FAKE))
    # One point where p_data = 3/4 and p_g = 1/4 of the mass: 3 real and 1 fake copies of the same logit.
    best = (alpha * 0.75 + beta * 0.25) / 1.0
    logit = torch.tensor(math.log(best / (1 - best)), dtype=torch.float64, requires_grad=True)
    loss = 0.75 * adv.discriminator_bce_smoothed(logit[None], logit[None].detach(), alpha, beta)
    loss = loss + 0.25 * adv.discriminator_bce_smoothed(logit[None].detach(), logit[None], alpha, beta)
    (slope,) = torch.autograd.grad(loss, logit)
    close(slope, torch.zeros((), dtype=torch.float64), atol=1e-12, rtol=0)


def test_least_squares_is_half_the_squared_distance_to_the_targets() -> None:
    close(
        adv.discriminator_least_squares(REAL, FAKE, 1.0, -1.0),
        ((REAL - 1) ** 2).mean() / 2 + ((FAKE + 1) ** 2).mean() / 2,
    )
    close(adv.generator_least_squares(FAKE, 0.0), (FAKE**2).mean() / 2)
    close(adv.generator_least_squares(FAKE), ((FAKE - 1) ** 2).mean() / 2)


def test_wasserstein_losses_are_differences_of_means_and_antisymmetric() -> None:
    close(adv.critic_wasserstein(REAL, FAKE), FAKE.mean() - REAL.mean())
    close(adv.critic_wasserstein(REAL, FAKE), -adv.critic_wasserstein(FAKE, REAL))
    close(adv.generator_wasserstein(FAKE), -FAKE.mean())


def test_hinge_ignores_examples_beyond_the_margin() -> None:
    by_hand = sum(max(0.0, 1 - float(r)) for r in REAL) / 4 + sum(max(0.0, 1 + float(f)) for f in FAKE) / 4
    close(float(adv.discriminator_hinge(REAL, FAKE)), by_hand)
    assert adv.discriminator_hinge(torch.full((3,), 1.0), torch.full((3,), -1.0)) == 0


def test_relativistic_losses_compare_the_two_kinds() -> None:
    close(adv.discriminator_relativistic(REAL, FAKE), -sigmoid(REAL - FAKE).log().mean())
    average = -sigmoid(REAL - FAKE.mean()).log().mean() - (1 - sigmoid(FAKE - REAL.mean())).log().mean()
    close(adv.discriminator_relativistic_average(REAL, FAKE), average)
    # Adding a constant to all logits changes nothing: only differences count.
    close(adv.discriminator_relativistic(REAL + 5, FAKE + 5), adv.discriminator_relativistic(REAL, FAKE))
    close(adv.discriminator_relativistic_average(REAL + 5, FAKE + 5), average)


def test_feature_matching_is_the_squared_distance_of_means() -> None:
    real, fake = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 5.0]])
    close(adv.feature_matching(real, fake), torch.tensor((2.0 - 1.0) ** 2 + (3.0 - 2.0) ** 2))


@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_losses_stay_finite_where_a_probability_would_round_to_zero_or_one(logit: float) -> None:
    v = torch.tensor([logit], requires_grad=True)
    for loss in (
        adv.discriminator_bce(v, v),
        adv.generator_minimax(v),
        adv.generator_non_saturating(v),
        adv.discriminator_bce_smoothed(v, v, 0.9, 0.1),
        adv.discriminator_relativistic(v, -v),
        adv.discriminator_relativistic_average(v, -v),
    ):
        (slope,) = torch.autograd.grad(loss, v)
        assert loss.isfinite()
        assert slope.isfinite().all()


@pytest.mark.parametrize("confidence", [2.0, 5.0, 10.0])
def test_the_minimax_generator_saturates_where_the_other_learns_most(confidence: float) -> None:
    v = torch.tensor([-confidence], dtype=torch.float64, requires_grad=True)
    d = 1 / (1 + math.exp(confidence))
    (minimax,) = torch.autograd.grad(adv.generator_minimax(v), v)
    (heuristic,) = torch.autograd.grad(adv.generator_non_saturating(v), v)
    close(minimax.item(), -d)
    close(heuristic.item(), -(1 - d))
