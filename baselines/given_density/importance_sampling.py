"""Importance sampling: draws of a proposal, weighted by density over proposal; the proposal is fitted by a pilot.

Source      Kahn and Marshall 1953; adaptive in one step as in Oh and Berger 1992. Of N(0, 1) from N(0, s^2) the mean
            square weight is s^2 / sqrt(2 s^2 - 1), infinite for s^2 <= 1/2: a proposal must be wider than the target.
Departures  The proposal is one Gaussian: moments of the weighted pilot, `widen` times as wide.
Shapes      N draws, D dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.bases.given_density import DrawsFromDensity
from ganbench.model import Budget, Fraction, Gaussian, Metered, Positive, register
from ganbench.ops.chains import log_mean_exp, moments, weights_ess

CHUNK = 1 << 16  # draws that are looked at together


@register(
    "importance_sampling", family="given_density", gives=("sample", "estimate"), needs=("density",), events=("vector",)
)
class ImportanceSampling(DrawsFromDensity):
    class Config(DrawsFromDensity.Config):
        pilot: Fraction = 0.2  # of the budget, spent on draws of the base law; 0: the base is the proposal
        widen: Positive = 1.5  # deviations of the proposal over those that the pilot found

    config: Config

    def infer(self, density: Metered, budget: Budget, rng: torch.Generator) -> None:
        n = budget.evaluations(self.config.batch_size)
        pilot = int(self.config.pilot * n)
        proposal = density.base
        if pilot:
            _, mean, cov = weighted(density, proposal, pilot, rng)
            ridge = 1e-6 * density.base.cov  # where one draw of the pilot has all the weight
            proposal = Gaussian(mean, self.config.widen**2 * cov + ridge)
        (x, log_weights), *_ = weighted(density, proposal, n - pilot, rng)
        self.posterior.fill(
            x, density, rng, log_weights=log_weights,
            log_evidence=log_mean_exp(log_weights), ess=weights_ess(log_weights),
        )  # fmt: skip


def weighted(
    density: Metered, proposal: Gaussian, n: int, rng: torch.Generator
) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
    """Draws with log weights, (N, D) and (N,), and their weighted mean and covariance."""
    x = proposal.sample(n, rng)
    log_weights = torch.cat([density.log_prob(part) - proposal.log_prob(part) for part in x.split(CHUNK)])
    mean, cov = moments(x, log_weights)
    return (x, log_weights), mean, cov
