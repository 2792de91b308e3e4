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


def discriminator_bce_smoothed(
    real_logits: Tensor, fake_logits: Tensor, real_target: float, fake_target: float = 0.0
) -> Tensor:
    """Cross-entropy to the labels alpha = `real_target` and beta = `fake_target` instead of 1 and 0.

    Its optimum is D* = (alpha p_data + beta p_g) / (p_data + p_g). Salimans et al. 2016, arXiv:1606.03498, section 3.4.
    """
    real = real_target * F.softplus(-real_logits) + (1 - real_target) * F.softplus(real_logits)
    fake = fake_target * F.softplus(-fake_logits) + (1 - fake_target) * F.softplus(fake_logits)
    return real.mean() + fake.mean()


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


def discriminator_hinge(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))). Lim and Ye 2017, arXiv:1705.02894."""
    return F.relu(1 - real_scores).mean() + F.relu(1 + fake_scores).mean()


def discriminator_relativistic(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E log sigmoid(C(x) - C(G(z))) over pairs. Jolicoeur-Martineau 2018, arXiv:1807.00734, section 4.1 (RSGAN)."""
    return F.softplus(fake_logits - real_logits).mean()


def discriminator_relativistic_average(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Each logit against the mean logit of the other kind. arXiv:1807.00734, section 4.2 (RaSGAN)."""
    return F.softplus(fake_logits.mean() - real_logits).mean() + F.softplus(fake_logits - real_logits.mean()).mean()


def feature_matching(real_features: Tensor, fake_features: Tensor) -> Tensor:
    """|E f(x) - E f(G(z))|^2: (B, F), (B, F) -> (). Salimans et al. 2016, arXiv:1606.03498, section 3.1."""
    return (real_features.mean(0) - fake_features.mean(0)).square().sum()
