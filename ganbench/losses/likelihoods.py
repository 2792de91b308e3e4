"""Log likelihoods and Kullback-Leibler terms of the decoders and codes that autoencoders use, in nats.

Shapes      B batch, Z latent, *E event shape; every result is (B,), summed over all other dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_log_prob(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """log N(x; mean, diag(exp(log_std))^2): (B, *E), broadcastable, broadcastable -> (B,)."""
    each = -0.5 * ((x - mean) * torch.exp(-log_std)).square() - log_std - 0.5 * math.log(2 * math.pi)
    return each.expand_as(x).flatten(1).sum(1)


def gaussian_draw(mean: Tensor, log_var: Tensor, *, rng: torch.Generator) -> Tensor:
    """A reparametrised draw of N(mean, diag(exp(log_var))): (B, Z), (B, Z) -> (B, Z)."""
    return mean + torch.exp(0.5 * log_var) * torch.randn(mean.shape, generator=rng, device=mean.device)


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I): (B, Z) -> (B,)."""
    return (-0.5 * z.square() - 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)


def bernoulli_log_prob(x: Tensor, logits: Tensor) -> Tensor:
    """x log p + (1 - x) log(1 - p) with p = sigmoid(logits) and x in [0, 1]: (B, *E), (B, *E) -> (B,).

    A probability for x in {0, 1}; for grey values between it is the usual cross entropy, not a normalised density.
    """
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, diag(exp(log_var))) || N(0, I)): (B, Z), (B, Z) -> (B,). arXiv:1312.6114, appendix B."""
    return 0.5 * (mean.square() + torch.expm1(log_var) - log_var).flatten(1).sum(1)


def log_mean_exp(log_weights: Iterable[Tensor]) -> Tensor:
    """log of the mean of exp over draws of (B,) each, held one at a time: -> (B,).

    Of importance weights p(x, z) / q(z | x) it is the bound of Burda et al. 2016, arXiv:1509.00519, equation 8.
    """
    total, n = None, 0
    for log_w in log_weights:
        total = log_w if total is None else torch.logaddexp(total, log_w)
        n += 1
    if total is None:
        raise ValueError("log_mean_exp needs at least one draw")
    return total - math.log(n)
