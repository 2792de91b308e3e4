"""Mean-field variational inference: the normal law with independent coordinates that is nearest in KL(q || p).

Source      min_q E_q log q - E_q log p, by gradients through draws x = m + s e (Kingma and Welling 2014; Kucukelbir
            et al. 2017). The bound is log Z - KL. Of N(0, [1 rho]) the variances found are 1 - rho^2 and KL is
            -log(1 - rho^2) / 2: correlations are lost and spreads underestimated.
Departures  Several restarts move together and the best bound wins; parameters are averaged over the last quarter.
Shapes      R restarts, B draws of each, D dimensions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.bases.given_density import GivenDensity
from ganbench.bases.inferred import GaussianLaw
from ganbench.errors import BadConfig
from ganbench.model import Budget, Count, DataSpec, Metered, Model, NotApplicable, Positive, register

LAST = 0.01  # share of the rate that is left at the end: means must settle within the smallest deviation

LOOK = 0.1  # of the budget, spent on the bound of the restart that won: its own is the largest of several


@register(
    "mean_field_vi",
    family="given_density",
    gives=("sample", "estimate"),
    needs=("density", "gradient"),
    events=("vector",),
)
class MeanFieldVI(GivenDensity):
    class Config(Model.Config):
        batch_size: Count = 64  # draws an iteration, over all restarts
        restarts: Count = 8
        lr: Positive = 0.05  # of Adam, in deviations of the base law; falls to a hundredth

    config: Config

    def build(self, spec: DataSpec) -> None:
        if self.config.batch_size % self.config.restarts:
            raise BadConfig(
                f"batch_size must be a multiple of restarts; got {self.config.batch_size} and {self.config.restarts}"
            )
        self.spec, self.posterior = spec, GaussianLaw(spec.event_shape)

    def infer(self, density: Metered, budget: Budget, rng: torch.Generator) -> None:
        c = self.config
        allowed = budget.evaluations(c.batch_size)
        d, steps = len(density.base.mean), int((1 - LOOK) * allowed) // (2 * c.batch_size)
        if not steps:
            raise NotApplicable("a step takes two evaluations a draw, more than this budget; give more iterations")
        middle, scale = density.base.mean, density.base.std
        m = (density.base.sample(c.restarts, rng) - middle) / scale  # (R, D), in deviations of the base
        log_s = torch.zeros_like(m)
        parameters = torch.stack([m, log_s])  # (2, R, D)
        adam = torch.optim.Adam([parameters], lr=c.lr)
        average, bounds, counted = torch.zeros_like(parameters), torch.zeros_like(m[:, 0]), 0
        for t in range(steps):
            m, log_s = parameters
            e = torch.randn(c.restarts, c.batch_size // c.restarts, d, generator=rng, dtype=m.dtype, device=m.device)
            x = middle + scale * (m[:, None] + log_s.exp()[:, None] * e)  # (R, B, D)
            value, slope = (v.unflatten(0, e.shape[:2]) for v in density.gradient(x.flatten(0, 1)))
            slope = slope * scale
            if t >= 3 * steps // 4:
                log_q = self.log_q(e, log_s[:, None] + scale.log())
                average, bounds, counted = average + parameters, bounds + (value - log_q).mean(1), counted + 1
            # down the slope of -bound: through the draws, and the entropy's, which is 1 for each log s
            parameters.grad = -torch.stack([slope.mean(1), (slope * e).mean(1) * log_s.exp() + 1])
            adam.param_groups[0]["lr"] = c.lr * LAST ** (t / steps)
            adam.step()
        m, log_s = average[:, int(bounds.argmax())] / counted
        log_s = log_s + scale.log()
        e = torch.randn(allowed - density.evaluations, d, generator=rng, dtype=m.dtype, device=m.device)
        bound = (density.log_prob(middle + scale * m + log_s.exp() * e) - self.log_q(e, log_s)).mean()
        self.posterior.say(middle + scale * m, torch.diag((2 * log_s).exp()), density, float(bound))

    @staticmethod
    def log_q(e: Tensor, log_s: Tensor) -> Tensor:
        """Log density of m + s e under q: (..., D) -> (...)."""
        return -(0.5 * e.square() + log_s + 0.5 * math.log(2 * math.pi)).sum(-1)
