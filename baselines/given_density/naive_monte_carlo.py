"""Naive Monte Carlo: draws of the base law, weighted by what the density says of them.

Source      The mean of f(x) over draws x, with error sd / sqrt(n); of a posterior the base is the prior, and the mean
            likelihood is the evidence, p(y) = E_prior p(y | x).
Shapes      N draws, D dimensions.
"""

from __future__ import annotations

import torch

from ganbench.bases.given_density import DrawsFromDensity
from ganbench.model import Budget, Metered, register
from ganbench.ops.chains import log_mean_exp, weights_ess

CHUNK = 1 << 16  # draws that are looked at together


@register(
    "naive_monte_carlo", family="given_density", gives=("sample", "estimate"), needs=("density",), events=("vector",)
)
class NaiveMonteCarlo(DrawsFromDensity):
    def infer(self, density: Metered, budget: Budget, rng: torch.Generator) -> None:
        n = budget.evaluations(self.config.batch_size)
        x = density.base.sample(n, rng)  # (N, D)
        log_weights = torch.cat([density.log_prob(part) - density.base.log_prob(part) for part in x.split(CHUNK)])
        self.posterior.fill(
            x, density, rng, log_weights=log_weights,
            log_evidence=log_mean_exp(log_weights), ess=weights_ess(log_weights),
        )  # fmt: skip
