"""Reversible jump: chains that move between subspaces, by births and deaths of coordinates, and within them.

Source      Green 1995, section 3. A birth draws the new coordinate b from the base law's q: it is accepted with
            probability min(1, p(x') / (p(x) q(b))), a death by the inverse; the map is the identity, of Jacobian 1.
Departures  All chains move together; a move is a birth or death of a coordinate that is drawn at random, or a random
            step of all those that are there, with equal probability. Steps are adapted in the burn-in.
Shapes      T steps, C chains, D dimensions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.bases.given_density import DrawsFromDensity
from ganbench.model import Budget, Count, Fraction, Metered, Positive, register
from ganbench.ops.chains import chains_ess

GOAL = 0.3  # acceptance of the steps within a subspace


@register(
    "reversible_jump",
    family="given_density",
    gives=("sample", "estimate"),
    needs=("density", "subspaces"),
    events=("vector",),
)
class ReversibleJump(DrawsFromDensity):
    class Config(DrawsFromDensity.Config):
        batch_size: Count = 64  # chains
        step: Positive = 0.3  # first deviation of a step, over those of the base law
        burn_in: Fraction = 0.25  # of the steps

    config: Config

    def infer(self, density: Metered, budget: Budget, rng: torch.Generator) -> None:
        c = self.config
        x = torch.zeros(c.batch_size, *self.spec.event_shape, dtype=torch.float64, device=rng.device)  # nothing is in
        rows, log_p, log_step = torch.arange(len(x), device=x.device), density.log_prob(x), math.log(c.step)
        steps = budget.evaluations(c.batch_size) // c.batch_size - 1
        burn_in = int(c.burn_in * steps)
        states = x.new_empty(max(0, steps - burn_in), *x.shape)
        for t in range(steps):
            jumps = torch.rand(len(x), generator=rng, device=x.device) < 0.5
            coordinate = torch.randint(x.shape[1], (len(x),), generator=rng, device=x.device)
            proposed, log_q = self.jump(x, rows, coordinate, density, rng)
            noise = torch.randn(x.shape, generator=rng, dtype=x.dtype, device=x.device)
            stepped = x + math.exp(log_step) * density.base.std * noise * (x != 0)
            proposed = torch.where(jumps[:, None], proposed, stepped)
            log_new = density.log_prob(proposed)
            height = torch.rand(len(x), generator=rng, dtype=x.dtype, device=x.device).log()
            up = height < log_new - log_p - torch.where(jumps, log_q, 0.0)
            x, log_p = torch.where(up[:, None], proposed, x), torch.where(up, log_new, log_p)
            if t >= burn_in:
                states[t - burn_in] = x
            else:
                within = float(up[~jumps].double().mean()) if not jumps.all() else GOAL
                log_step += (within - GOAL) / (1 + t) ** 0.6
        self.posterior.fill(states.flatten(0, 1), density, rng, ess=chains_ess(states))

    @staticmethod
    def jump(
        x: Tensor, rows: Tensor, coordinate: Tensor, density: Metered, rng: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """A birth where the coordinate is 0 and a death where it is not: (C, D), and log of what it was proposed by."""
        mean, std = density.base.mean[coordinate], density.base.std[coordinate]
        old = x[rows, coordinate]
        born = mean + std * torch.randn(len(x), generator=rng, dtype=x.dtype, device=x.device)
        is_birth = old == 0
        log_q = -0.5 * ((torch.where(is_birth, born, old) - mean) / std).square() - (std * math.sqrt(2 * math.pi)).log()
        proposed = x.clone()
        proposed[rows, coordinate] = torch.where(is_birth, born, 0.0)
        return proposed, torch.where(is_birth, log_q, -log_q)
