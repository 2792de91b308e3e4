"""Rejection: draws of the base law are kept where a uniform height under its envelope falls below the density.

Source      von Neumann 1951. With density p and base q of integral 1 and p <= M q, the share 1 / M is kept, exact and
            independent; for another integral Z the share is Z / M.
Departures  M is not known: it is the largest ratio among all draws, as in Caffo, Booth and Davis 2002.
Shapes      N draws, D dimensions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.model import Budget, Count, DataSpec, Inferred, Metered, Model, Split, register
from ganbench.nn.inferred import Draws

CHUNK = 1 << 16  # draws that are looked at together


@register(
    "rejection_sampling", family="given_density", gives=("sample", "estimate"), needs=("density",), events=("vector",)
)
class RejectionSampling(Model):
    @dataclass(frozen=True)
    class Config(Model.Config):
        keep: Count = 10_000  # draws that stand for the density afterwards

    config: Config
    acceptance: Tensor

    def build(self, spec: DataSpec) -> None:
        self.spec, self.posterior = spec, Draws(spec.event_shape, self.config.keep)
        self.register_buffer("acceptance", torch.tensor(0.0))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        assert data.density is not None
        density, n = Metered(data.density), budget.evaluations(self.config.batch_size)
        x = density.base.sample(n, rng)  # (N, D)
        log_ratio = torch.cat([density.log_prob(part) - density.base.log_prob(part) for part in x.split(CHUNK)])
        log_bound = float(log_ratio.max()) if n else -math.inf  # log M
        height = torch.rand(n, generator=rng, device=rng.device, dtype=x.dtype).log()
        kept = x[height <= log_ratio - log_bound] if math.isfinite(log_bound) else x[:0]
        self.acceptance.fill_(len(kept) / max(1, n))
        evidence = log_bound + math.log(len(kept) / n) if len(kept) else None
        self.posterior.fill(kept, density, rng, log_evidence=evidence, ess=len(kept))

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.posterior.sample(n, rng)

    def estimate(self) -> Inferred:
        return self.posterior.inferred()
