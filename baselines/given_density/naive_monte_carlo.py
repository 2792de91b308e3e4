"""Naive Monte Carlo: draws of the base law, weighted by what the density says of them.

Source      The mean of f(x) over draws x, with error sd / sqrt(n); of a posterior the base is the prior, and the mean
            likelihood is the evidence, p(y) = E_prior p(y | x).
Shapes      N draws, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.model import Budget, Count, DataSpec, Inferred, Metered, Model, Split, register
from ganbench.nn.inferred import Draws
from ganbench.ops.chains import log_mean_exp, weights_ess

CHUNK = 1 << 16  # draws that are looked at together


@register(
    "naive_monte_carlo", family="given_density", gives=("sample", "estimate"), needs=("density",), events=("vector",)
)
class NaiveMonteCarlo(Model):
    @dataclass(frozen=True)
    class Config(Model.Config):
        keep: Count = 10_000  # draws that stand for the density afterwards

    config: Config

    def build(self, spec: DataSpec) -> None:
        self.spec, self.posterior = spec, Draws(spec.event_shape, self.config.keep)

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        assert data.density is not None
        density, n = Metered(data.density), budget.evaluations(self.config.batch_size)
        x = density.base.sample(n, rng)  # (N, D)
        log_weights = torch.cat([density.log_prob(part) - density.base.log_prob(part) for part in x.split(CHUNK)])
        self.posterior.fill(
            x, density, rng, log_weights=log_weights,
            log_evidence=log_mean_exp(log_weights), ess=weights_ess(log_weights),
        )  # fmt: skip

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.posterior.sample(n, rng)

    def estimate(self) -> Inferred:
        return self.posterior.inferred()
