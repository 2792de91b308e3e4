"""Weights and chains: moments under importance weights, autocorrelations, effective numbers of draws.

Source      Kish 1965 (weights); Geyer 1992 (initial positive sequence), Vehtari et al. 2021 (arXiv:1903.08008, equation
            10: the variance of several chains).
Shapes      N draws, T steps, C chains, D dimensions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def moments(x: Tensor, log_weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean and covariance under weights that need not sum to 1: (N, D), (N,) -> (D,), (D, D)."""
    w = torch.full_like(x[:, 0], 1 / len(x)) if log_weights is None else torch.softmax(log_weights, 0)
    mean = w @ x
    centred = x - mean
    return mean, centred.T @ (w[:, None] * centred)


def log_mean_exp(log_weights: Tensor) -> float:
    """Log of the mean weight: (N,) -> number."""
    return float(torch.logsumexp(log_weights, 0)) - math.log(len(log_weights))


def weights_ess(log_weights: Tensor) -> float:
    """(sum w)^2 / sum w^2: as many equal weights would say as much."""
    return math.exp(2 * float(torch.logsumexp(log_weights, 0)) - float(torch.logsumexp(2 * log_weights, 0)))


def autocovariance(x: Tensor) -> Tensor:
    """Of each chain at every lag, by the Fourier transform; divided by T at all lags: (T, C, D) -> (T, C, D)."""
    steps = len(x)
    spectrum = torch.fft.rfft(x - x.mean(0), n=2 * steps, dim=0)
    found: Tensor = torch.fft.irfft(spectrum.abs().square(), n=2 * steps, dim=0)[:steps] / steps
    return found


def chains_ess(x: Tensor) -> float:
    """The effective number of draws of C chains together, the least over coordinates: (T, C, D) -> number.

    Chains that do not agree with each other count for little: their means' variance goes into the denominator. A
    coordinate that never moves has none. Raises nothing: under four steps the answer is 0.
    """
    steps, chains, dims = x.shape
    if steps < 4:
        return 0.0
    covariance = autocovariance(x.double()).mean(1)  # (T, D)
    within = covariance[0] * steps / (steps - 1)
    between = x.double().mean(0).var(0) if chains > 1 else torch.zeros(dims, device=x.device)  # (D,)
    total = within * (steps - 1) / steps + between
    correlation = 1 - (within - covariance * steps / (steps - 1)) / total.clamp(min=1e-300)  # (T, D)
    least = math.inf
    for d in range(dims):
        if float(within[d]) <= 0:
            return 0.0
        pairs = correlation[: steps // 2 * 2, d].view(-1, 2).sum(1)  # rho_0 + rho_1, rho_2 + rho_3, ...
        negative = (pairs < 0).nonzero()
        kept = pairs[: int(negative[0])] if len(negative) else pairs
        time = max(2 * float(kept.cummin(0).values.sum()) - 1, 1 / math.log10(steps * chains)) if len(kept) else 1.0
        least = min(least, steps * chains / time)
    return least
