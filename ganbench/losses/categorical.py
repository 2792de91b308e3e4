"""Entropies and divergences of predicted classes, from logits, in nats; margins of capsules' lengths.

Shapes      B batch, K classes.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor


def entropy(logits: Tensor) -> Tensor:
    """H(p) of every prediction, between 0 for a certain and log K for a uniform one: (B, K) -> (B,)."""
    log_p = logits.log_softmax(1)
    return -(log_p.exp() * log_p).sum(1)


def marginal_entropy(logits: Tensor) -> Tensor:
    """H of the mean prediction, log K where all classes are used alike: (B, K) -> (). arXiv:1511.06390."""
    log_mean = logits.log_softmax(1).logsumexp(0) - math.log(len(logits))
    return -(log_mean.exp() * log_mean).sum()


def conditional_entropy(logits: Tensor) -> Tensor:
    """Mean of the predictions' entropies: (B, K) -> (). arXiv:1511.06390."""
    return entropy(logits).mean()


def categorical_kl(logits: Tensor, other_logits: Tensor) -> Tensor:
    """KL(p || q) of the predictions: (B, K), (B, K) -> (B,)."""
    log_p = logits.log_softmax(1)
    return (log_p.exp() * (log_p - other_logits.log_softmax(1))).sum(1)


def margin(lengths: Tensor, y: Tensor) -> Tensor:
    """Sum over classes of T max(0, .9 - v)^2 + .5 (1 - T) max(0, v - .1)^2, T = 1 for the class y: (B, K), (B,) -> ().

    v are lengths in [0, 1). arXiv:1710.09829, equation 4.
    """
    there = F.one_hot(y, lengths.shape[1]).to(lengths)
    missed, extra = (0.9 - lengths).clamp_min(0).square(), (lengths - 0.1).clamp_min(0).square()
    return (there * missed + 0.5 * (1 - there) * extra).sum(1).mean()
