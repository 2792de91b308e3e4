"""Laplace's approximation: the normal law whose mode and curvature are those of the density at its highest mode.

Source      Laplace 1774; Tierney and Kadane 1986. log Z ~ log p(m) + D/2 log 2 pi - 1/2 log |H|, H the Hessian of
            -log p at the mode m: exact for a Gaussian, and blind to every other mode.
Departures  Modes are climbed from many draws of the base law at once, by Newton steps along the Hessian's axes with its
            eigenvalues taken positive, halved until they go up.
Shapes      C starts, D dimensions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.bases.given_density import GivenDensity
from ganbench.bases.inferred import GaussianLaw
from ganbench.model import Budget, Count, DataSpec, Metered, Model, NotApplicable, Positive, register

HALVINGS = 8


@register(
    "laplace", family="given_density", gives=("sample", "estimate"), needs=("density", "gradient"), events=("vector",)
)
class Laplace(GivenDensity):
    class Config(Model.Config):
        batch_size: Count = 64  # starts
        tolerance: Positive = 1e-9  # of a Newton step, over the deviations of the base law

    config: Config

    def build(self, spec: DataSpec) -> None:
        self.spec, self.posterior = spec, GaussianLaw(spec.event_shape)

    def infer(self, density: Metered, budget: Budget, rng: torch.Generator) -> None:
        c = self.config
        x, allowed = density.base.sample(c.batch_size, rng), budget.evaluations(c.batch_size)  # (C, D)
        cost = (2 + 2 * x.shape[1] + HALVINGS) * len(x)  # of a step at most
        while density.evaluations + 2 * cost <= allowed:
            moved = self.climb(x, density)
            far = ((moved - x).abs() / density.base.std).max()
            x = moved
            if far < c.tolerance:
                break
        value, _, hessian = density.hessian(x)
        best = int(value.argmax())
        values, axes = torch.linalg.eigh(-hessian[best])
        if not bool((values > 0).all()):
            raise NotApplicable("no mode was reached within this budget; give more iterations")
        cov = axes @ torch.diag(1 / values) @ axes.T
        log_evidence = float(value[best] - 0.5 * values.log().sum()) + 0.5 * x.shape[1] * math.log(2 * math.pi)
        self.posterior.say(x[best], cov, density, log_evidence)

    @staticmethod
    def climb(x: Tensor, density: Metered) -> Tensor:
        """One Newton step up from each place, halved until it goes up, at most eight times: (C, D) -> (C, D)."""
        value, slope, hessian = density.hessian(x)
        values, axes = torch.linalg.eigh(-hessian)  # (C, D), (C, D, D)
        along = (axes.mT @ slope[:, :, None]).squeeze(2) / values.abs().clamp(min=1e-12)
        step = (axes @ along[:, :, None]).squeeze(2)
        taken, settled = x, torch.zeros_like(value, dtype=torch.bool)
        for _ in range(HALVINGS):
            tried = x + step
            up = ~settled & (density.log_prob(tried) >= value)
            taken, settled, step = torch.where(up[:, None], tried, taken), settled | up, step / 2
            if settled.all():
                break
        return taken
