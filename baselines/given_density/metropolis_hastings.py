"""Metropolis-Hastings: chains that take random steps and stay where a step goes down too far.

Source      Metropolis et al. 1953, Hastings 1970; step sizes to an acceptance of 0.234 after Roberts, Gelman and Gilks
            1997, by Robbins-Monro in the burn-in alone. On N(0, 1) steps of deviation s are accepted with probability
            (2 / pi) arctan(2 / s) on average.
Departures  All chains move together and start from one draw of the base law, as one long chain would; from `dispersed`
            starts they find every mode, and weigh each by how many starts fell to it.
Shapes      T steps, C chains, D dimensions.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ganbench.bases.given_density import DrawsFromDensity
from ganbench.model import Budget, Count, DataSpec, Fraction, Metered, NotApplicable, Positive, register
from ganbench.ops.chains import chains_ess

GOAL = 0.234  # the acceptance that steps are adapted to
TRIED = 4  # draws for each chain, to find one where the density is not 0


@register(
    "metropolis_hastings", family="given_density", gives=("sample", "estimate"), needs=("density",), events=("vector",)
)
class MetropolisHastings(DrawsFromDensity):
    class Config(DrawsFromDensity.Config):
        batch_size: Count = 64  # chains
        step: Positive = 0.05  # deviation of a step, over those of the base law; the first one where it is adapted
        burn_in: Fraction = 0.25  # of the steps, in which `adapt` may change them and which are thrown away
        adapt: bool = True
        starts: Literal["one", "dispersed"] = "one"

    config: Config
    acceptance: Tensor
    step: Tensor

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        self.register_buffer("acceptance", torch.tensor(0.0))
        self.register_buffer("step", torch.tensor(float(self.config.step), dtype=torch.float64))

    def infer(self, density: Metered, budget: Budget, rng: torch.Generator) -> None:
        c = self.config
        x, log_p = self.first(density, rng)  # (C, D), (C,)
        steps, scale = (budget.evaluations(c.batch_size) - density.evaluations) // c.batch_size, density.base.std
        burn_in, log_step = int(c.burn_in * steps), self.step.log()
        states, accepted = x.new_empty(max(0, steps - burn_in), *x.shape), x.new_zeros(())
        for t in range(steps):
            noise = torch.randn(x.shape, generator=rng, dtype=x.dtype, device=x.device)
            proposed = x + log_step.exp() * scale * noise
            log_q = density.log_prob(proposed)
            height = torch.rand(len(x), generator=rng, dtype=x.dtype, device=x.device).log()
            up = height < log_q - log_p
            x, log_p = torch.where(up[:, None], proposed, x), torch.where(up, log_q, log_p)
            if t >= burn_in:
                states[t - burn_in] = x
                accepted += up.double().mean()
            elif c.adapt:
                log_step = log_step + (up.double().mean() - GOAL) / (1 + t) ** 0.6
        self.step.copy_(log_step.exp())
        self.acceptance.fill_(accepted / max(1, len(states)))
        self.posterior.fill(states.flatten(0, 1), density, rng, ess=chains_ess(states))

    def first(self, density: Metered, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws of the base law where the density is not 0, and its log there: (C, D), (C,)."""
        c = self.config
        x = density.base.sample(TRIED * c.batch_size, rng)
        log_p = density.log_prob(x)
        there = (~torch.isneginf(log_p)).nonzero().flatten()
        if not len(there):
            raise NotApplicable(f"the density is 0 at all of {len(x)} draws of the base law: no chain can start")
        chains = torch.arange(c.batch_size, device=x.device)
        rows = there[chains % len(there)] if c.starts == "dispersed" else there[:1].repeat(c.batch_size)
        return x[rows], log_p[rows]
