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
