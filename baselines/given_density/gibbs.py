"""Gibbs sampling: each coordinate in turn is drawn anew from its law given the others.

Source      Geman and Geman 1984; Gelfand and Smith 1990. With a systematic scan of two normal coordinates of
            correlation rho, each chain's lag-1 autocorrelation is rho^2 in either coordinate.
Departures  All chains move together, from draws of the base law; a coordinate's draw counts as one evaluation.
Shapes      T scans, C chains, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.model import Budget, Count, DataSpec, Fraction, Inferred, Metered, Model, Split, register
from ganbench.nn.inferred import Draws
from ganbench.ops.chains import chains_ess


@register(
    "gibbs", family="given_density", gives=("sample", "estimate"), needs=("density", "conditionals"), events=("vector",)
)
class Gibbs(Model):
    @dataclass(frozen=True)
    class Config(Model.Config):
        batch_size: Count = 64  # chains
        keep: Count = 10_000  # draws that stand for the density afterwards
        burn_in: Fraction = 0.25  # of the scans, thrown away

    config: Config

    def build(self, spec: DataSpec) -> None:
        self.spec, self.posterior = spec, Draws(spec.event_shape, self.config.keep)

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        assert data.density is not None
        c, density = self.config, Metered(data.density)
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

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.posterior.sample(n, rng)

    def estimate(self) -> Inferred:
        return self.posterior.inferred()
