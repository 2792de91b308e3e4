"""Expectation propagation: a Gaussian for each factor, refined until each agrees in mean and variance with its factor.

Source      Minka 2001, "Expectation Propagation for Approximate Bayesian Inference": exact for one factor, and where
            all factors are Gaussian.
Departures  All factors are refined at once, damped; moments under a factor come by the trapezoidal rule on a line, in
            place of a closed form for each kind; a factor whose cavity has no variance waits, as in Minka's clutter.
Shapes      S factors, D dimensions, Q places on a line.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.bases.given_density import GivenDensity
from ganbench.bases.inferred import GaussianLaw
from ganbench.model import Budget, Count, DataSpec, Metered, Model, NotApplicable, Positive, Probability, register

REACH = 8.0  # deviations of a cavity to either side that the rule spans


@register("ep", family="given_density", gives=("sample", "estimate"), needs=("density", "factors"), events=("vector",))
class EP(GivenDensity):
    class Config(Model.Config):
        places: Count = 401  # of the rule on each line: what one sweep over all factors costs
        damping: Probability = 0.5  # share of a refinement that is taken
        tolerance: Positive = 1e-9  # of the factors' precisions and shifts, at which sweeps end

    config: Config

    def build(self, spec: DataSpec) -> None:
        self.spec, self.posterior = spec, GaussianLaw(spec.event_shape)

    def infer(self, density: Metered, budget: Budget, rng: torch.Generator) -> None:
        c, a = self.config, density.density.directions  # (S, D)
        prior = torch.linalg.inv(density.base.cov)
        shift = prior @ density.base.mean
        tau, nu = torch.zeros_like(a[:, 0]), torch.zeros_like(a[:, 0])  # of exp(-tau u^2 / 2 + nu u), u = a x: (S,)
        log_mass = torch.zeros_like(tau)
        sweeps, done = budget.evaluations(c.batch_size) // c.places, False
        if not sweeps:
            raise NotApplicable(f"a sweep takes {c.places} evaluations, more than this budget; give more iterations")
        for _ in range(sweeps):
            cov = torch.linalg.inv(prior + a.T @ (tau[:, None] * a))
            mean = cov @ (shift + a.T @ nu)
            v, m = ((a @ cov) * a).sum(1), a @ mean  # of each factor's line under the whole: (S,)
            r, h = 1 / v - tau, m / v - nu  # precision and shift of its cavity
            proper = r > 1e-12
            r, h = torch.where(proper, r, 1 / v), torch.where(proper, h, m / v)
            log_z, tilted_mean, tilted_var = self.tilted(density, h / r, 1 / r)
            new_tau, new_nu = 1 / tilted_var - r, tilted_mean / tilted_var - h
            change = torch.stack([new_tau - tau, new_nu - nu]) * proper
            done = bool((change.abs() <= c.tolerance * (1 + tau.abs())).all())
            tau, nu = tau + c.damping * change[0], nu + c.damping * change[1]
            # log of the factor's constant: its mass under the cavity over that of its Gaussian
            log_mass = log_z - 0.5 * (r / (r + tau)).log() - 0.5 * ((h + nu).square() / (r + tau) - h.square() / r)
            if done:
                break
        precision = prior + a.T @ (tau[:, None] * a)
        cov = torch.linalg.inv(precision)
        mean = cov @ (shift + a.T @ nu)
        whole = torch.logdet(prior) - torch.logdet(precision) + mean @ precision @ mean - shift @ density.base.mean
        self.posterior.say(mean, (cov + cov.T) / 2, density, float(log_mass.sum() + 0.5 * whole))

    def tilted(self, density: Metered, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log mass, mean and variance of each cavity times its factor: (S,), (S,) -> (S,), (S,), (S,)."""
        z = torch.linspace(-REACH, REACH, self.config.places, dtype=mean.dtype, device=mean.device)
        u = mean[:, None] + var.sqrt()[:, None] * z  # (S, Q)
        log_p = density.log_factors(u) - 0.5 * z.square()
        log_z = torch.logsumexp(log_p, 1) - torch.logsumexp(-0.5 * z.square(), 0)
        w = torch.softmax(log_p, 1)
        centre = (w * u).sum(1)
        return log_z, centre, (w * (u - centre[:, None]).square()).sum(1)
