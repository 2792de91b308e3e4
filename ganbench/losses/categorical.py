"""Entropies and divergences of predicted classes, from logits, in nats.

Shapes      B batch, K classes.
"""

from __future__ import annotations

import math

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
