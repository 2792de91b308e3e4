"""Rejection: draws of the base law are kept where a uniform height under its envelope falls below the density.

Source      von Neumann 1951. With density p and base q of integral 1 and p <= M q, the share 1 / M is kept, exact and
            independent; for another integral Z the share is Z / M.
Departures  M is not known: it is the largest ratio among all draws, as in Caffo, Booth and Davis 2002.
Shapes      N draws, D dimensions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.bases.given_density import DrawsFromDensity
from ganbench.model import Budget, DataSpec, Metered, register

CHUNK = 1 << 16  # draws that are looked at together


@register(
    "rejection_sampling", family="given_density", gives=("sample", "estimate"), needs=("density",), events=("vector",)
)
class RejectionSampling(DrawsFromDensity):
    acceptance: Tensor

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        self.register_buffer("acceptance", torch.tensor(0.0))

    def infer(self, density: Metered, budget: Budget, rng: torch.Generator) -> None:
        n = budget.evaluations(self.config.batch_size)
        x = density.base.sample(n, rng)  # (N, D)
        log_ratio = torch.cat([density.log_prob(part) - density.base.log_prob(part) for part in x.split(CHUNK)])
        log_bound = float(log_ratio.max()) if n else -math.inf  # log M
        height = torch.rand(n, generator=rng, device=rng.device, dtype=x.dtype).log()
        kept = x[height <= log_ratio - log_bound] if math.isfinite(log_bound) else x[:0]
        self.acceptance.fill_(len(kept) / max(1, n))
        evidence = log_bound + math.log(len(kept) / n) if len(kept) else None
        self.posterior.fill(kept, density, rng, log_evidence=evidence, ess=len(kept))
