"""Gibbs sampling: each coordinate in turn is drawn anew from its law given the others.

Source      Geman and Geman 1984; Gelfand and Smith 1990. With a systematic scan of two normal coordinates of
            correlation rho, each chain's lag-1 autocorrelation is rho^2 in either coordinate.
Departures  All chains move together, from draws of the base law; a coordinate's draw counts as one evaluation.
Shapes      T scans, C chains, D dimensions.
"""

from __future__ import annotations

import torch

from ganbench.bases.given_density import DrawsFromDensity
from ganbench.model import Budget, Count, Fraction, Metered, register
from ganbench.ops.chains import chains_ess


@register(
    "gibbs", family="given_density", gives=("sample", "estimate"), needs=("density", "conditionals"), events=("vector",)
)
class Gibbs(DrawsFromDensity):
    class Config(DrawsFromDensity.Config):
        batch_size: Count = 64  # chains
        burn_in: Fraction = 0.25  # of the scans, thrown away

    config: Config

    def infer(self, density: Metered, budget: Budget, rng: torch.Generator) -> None:
        c = self.config
        x = density.base.sample(c.batch_size, rng)  # (C, D)
        scans = budget.evaluations(c.batch_size) // (c.batch_size * x.shape[1])
        burn_in = int(c.burn_in * scans)
        states = x.new_empty(scans - burn_in, *x.shape)
        for t in range(scans):
            for i in range(x.shape[1]):
                x[:, i] = density.conditional(x, i, rng)
            if t >= burn_in:
                states[t - burn_in] = x
        self.posterior.fill(states.flatten(0, 1), density, rng, ess=chains_ess(states))
