"""Adversarial objectives as pure functions of logits or scores, stable for any of their values.

Real is class 1. With V a logit, -log sigmoid(V) = softplus(-V) and -log(1 - sigmoid(V)) = softplus(V).
Shapes      B batch; every loss is (B,), (B,) -> () or (B,) -> ().
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def discriminator_bce(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))). Goodfellow et al. 2014, arXiv:1406.2661, Algorithm 1."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def generator_minimax(fake_logits: Tensor) -> Tensor:
    """E log(1 - D(G(z))): the minimax generator. arXiv:1406.2661, Algorithm 1."""
    return -F.softplus(fake_logits).mean()


def generator_non_saturating(fake_logits: Tensor) -> Tensor:
    """-E log D(G(z)): strong gradients where the discriminator wins. arXiv:1406.2661, section 3."""
    return F.softplus(-fake_logits).mean()


def discriminator_least_squares(
    real: Tensor, fake: Tensor, real_target: float = 1.0, fake_target: float = 0.0
) -> Tensor:
    """E (D(x) - b)^2 / 2 + E (D(G(z)) - a)^2 / 2. Mao et al. 2017, arXiv:1611.04076, equation 2."""
    return 0.5 * (real - real_target).square().mean() + 0.5 * (fake - fake_target).square().mean()


def generator_least_squares(fake: Tensor, target: float = 1.0) -> Tensor:
    """E (D(G(z)) - c)^2 / 2. arXiv:1611.04076, equation 2."""
    return 0.5 * (fake - target).square().mean()


def critic_wasserstein(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """E f(G(z)) - E f(x): minus the Wasserstein estimate. Arjovsky et al. 2017, arXiv:1701.07875, Algorithm 1."""
    return fake_scores.mean() - real_scores.mean()


def generator_wasserstein(fake_scores: Tensor) -> Tensor:
    """-E f(G(z)). arXiv:1701.07875, Algorithm 1, line 10."""
    return -fake_scores.mean()
