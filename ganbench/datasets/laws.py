"""Densities that methods of inference are given: mixtures, conjugate posteriors, Minka's clutter, probit, subspaces.

Each knows its exact moments and evidence, by a closed form or by quadrature, and draws exactly from itself.

Source      Minka 2001 (clutter); Albert and Chib 1993 (probit); Green 1995 (subsets of regressors).
Shapes      B batch, N draws, D dimensions, S observations or factors, Q places on a line, K modes, M subsets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganbench.data import Mixture
from ganbench.data.density import Answers, Density, Gaussian

PLACES = 200_001  # of the quadrature in one dimension
LOG_2PI = math.log(2 * math.pi)


def isotropic(d: int, std: float) -> Gaussian:
    """N(0, std^2 I)."""
    return Gaussian(torch.zeros(d, dtype=torch.float64), std**2 * torch.eye(d, dtype=torch.float64))


@dataclass(frozen=True)
class MixtureLaw(Density):
    """An isotropic mixture; its normaliser is 1."""

    offers: ClassVar[tuple[str, ...]] = ("value", "gradient", "conditionals")
    means: Tensor  # (K, D)
    scale: float

    @classmethod
    def of(cls, mixture: Mixture) -> MixtureLaw:
        """A mixture under a base one and a half times as wide."""
        means = mixture.means.double()
        spread = (means - means.mean(0)).square().mean() + mixture.std**2
        base = Gaussian(means.mean(0), 2.25 * spread * torch.eye(means.shape[1], dtype=torch.float64))
        return cls(base, means, mixture.std)

    def log_prob(self, x: Tensor) -> Tensor:
        return Mixture(self.means, self.scale).log_prob(x)

    def conditional(self, x: Tensor, i: int, rng: torch.Generator) -> Tensor:
        others = [j for j in range(x.shape[1]) if j != i]
        square = (x[:, None, others] - self.means[:, others]).square().sum(-1)  # (B, K)
        mode = torch.multinomial(torch.softmax(-square / (2 * self.scale**2), 1), 1, generator=rng).squeeze(1)
        noise = torch.randn(len(x), generator=rng, dtype=x.dtype, device=x.device)
        return self.means[mode, i] + self.scale * noise

    def answers(self) -> Answers:
        """Moments of the mixture; its integral is 1."""
        d, mean = self.means.shape[1], self.means.mean(0)
        cov = (self.means - mean).T @ (self.means - mean) / len(self.means) + self.scale**2 * torch.eye(d).double()
        return Answers(mean, cov, 0.0)


@dataclass(frozen=True)
class GaussianLaw(Density):
    """A normal law that is not the base: correlated, say; its normaliser is 1."""

    offers: ClassVar[tuple[str, ...]] = ("value", "gradient", "conditionals")
    law: Gaussian

    def log_prob(self, x: Tensor) -> Tensor:
        return self.law.log_prob(x)

    def conditional(self, x: Tensor, i: int, rng: torch.Generator) -> Tensor:
        precision: Tensor = torch.linalg.inv(self.law.cov)
        off = (x - self.law.mean) @ precision[i] - (x[:, i] - self.law.mean[i]) * precision[i, i]
        noise = torch.randn(len(x), generator=rng, dtype=x.dtype, device=x.device)
        return self.law.mean[i] - off / precision[i, i] + noise / precision[i, i].sqrt()

    def answers(self) -> Answers:
        """Its own moments; its integral is 1."""
        return Answers(self.law.mean, self.law.cov, 0.0)

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Exact draws: -> (n, D)."""
        return self.law.sample(n, rng)


@dataclass(frozen=True)
class LinearGaussian(GaussianLaw):
    """x of the base, observed as y = A x + noise: the posterior is `law`, the evidence the marginal of y."""

    offers: ClassVar[tuple[str, ...]] = ("value", "gradient", "conditionals", "factors")
    design: Tensor  # A, (S, D)
    y: Tensor  # (S,)
    noise: float

    @classmethod
    def of(cls, base: Gaussian, design: Tensor, y: Tensor, noise: float) -> LinearGaussian:
        """The posterior by completing the square."""
        prior = torch.linalg.inv(base.cov)
        cov = torch.linalg.inv(prior + design.T @ design / noise**2)
        mean = cov @ (prior @ base.mean + design.T @ y / noise**2)
        return cls(base, Gaussian(mean, (cov + cov.T) / 2), design, y, noise)

    def log_prob(self, x: Tensor) -> Tensor:
        return self.base.log_prob(x) + _normal(self.y, x @ self.design.T, self.noise).sum(1)

    @property
    def directions(self) -> Tensor:
        return self.design

    def log_factors(self, u: Tensor) -> Tensor:
        return _normal(self.y[:, None], u, self.noise)

    def answers(self) -> Answers:
        """Moments of the posterior; the evidence is the marginal of y."""
        a, cov = self.design, self.base.cov
        marginal = Gaussian(a @ self.base.mean, a @ cov @ a.T + self.noise**2 * torch.eye(len(a)).double())
        return Answers(self.law.mean, self.law.cov, float(marginal.log_prob(self.y[None])))


@dataclass(frozen=True)
class OnALine(Density):
    """A posterior of one number as base times factors; its answers come by quadrature."""

    offers: ClassVar[tuple[str, ...]] = ("value", "gradient", "factors")
    y: Tensor  # (S,)

    def log_prob(self, x: Tensor) -> Tensor:
        return self.base.log_prob(x) + self.log_factors((x @ self.directions.T).T).sum(0)

    def grid(self) -> tuple[Tensor, Tensor]:
        """Places over ten deviations of the base to either side, and the log density at them: (Q,), (Q,)."""
        mean, std = float(self.base.mean), float(self.base.std)
        x = torch.linspace(mean - 10 * std, mean + 10 * std, PLACES, dtype=torch.float64)
        return x, torch.cat([self.log_prob(part) for part in x[:, None].split(20_000)])

    def answers(self) -> Answers:
        """By the trapezoidal rule, which for densities that vanish at both ends errs by less than rounding."""
        x, log_p = self.grid()
        w = torch.softmax(log_p, 0)
        mean = (w * x).sum()
        evidence = float(torch.logsumexp(log_p, 0)) + math.log(float(x[1] - x[0]))
        return Answers(mean[None], (w * (x - mean).square()).sum().view(1, 1), evidence)

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Quantiles of uniform draws, by the cumulative sums of the quadrature: -> (n, 1)."""
        x, log_p = self.grid()
        share = torch.softmax(log_p, 0).cumsum(0)
        u = torch.rand(n, generator=rng, dtype=torch.float64)
        right = torch.searchsorted(share, u).clamp(1, PLACES - 1)
        part = (u - share[right - 1]) / (share[right] - share[right - 1]).clamp(min=1e-300)
        return (x[right - 1] + part.clamp(0, 1) * (x[1] - x[0]))[:, None]


@dataclass(frozen=True)
class Probit(OnALine):
    """The coefficient of one regressor: y = 1 with probability Phi(a x), else y = -1."""

    a: Tensor  # (S,)

    @property
    def directions(self) -> Tensor:
        return (self.y * self.a)[:, None]

    def log_factors(self, u: Tensor) -> Tensor:
        out: Tensor = torch.special.log_ndtr(u)
        return out


@dataclass(frozen=True)
class Clutter(OnALine):
    """The mean of normal observations of which a share is clutter: y ~ (1 - w) N(x, 1) + w N(0, 10)."""

    share: float = 0.5

    @property
    def directions(self) -> Tensor:
        return torch.ones_like(self.y)[:, None]

    def log_factors(self, u: Tensor) -> Tensor:
        own = _normal(self.y[:, None], u, 1.0) + math.log(1 - self.share)
        clutter = _normal(self.y[:, None], torch.zeros_like(u), math.sqrt(10.0)) + math.log(self.share)
        return torch.logaddexp(own, clutter)


@dataclass(frozen=True)
class Annulus(Density):
    """1 between two circles and 0 elsewhere: a density without a gradient that says anything."""

    offers: ClassVar[tuple[str, ...]] = ("value",)
    inner: float = 1.0
    outer: float = 2.0

    def log_prob(self, x: Tensor) -> Tensor:
        radius = x.double().norm(dim=1)
        inside = (radius >= self.inner) & (radius <= self.outer)
        return torch.where(inside, 0.0, -torch.inf).double()

    def answers(self) -> Answers:
        """The area, and half the mean square radius on each axis."""
        area = math.pi * (self.outer**2 - self.inner**2)
        variance = (self.inner**2 + self.outer**2) / 4
        return Answers(torch.zeros(2).double(), variance * torch.eye(2).double(), math.log(area))

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Uniform over the area: -> (n, 2)."""
        u = torch.rand(n, 2, generator=rng, dtype=torch.float64)
        radius = (self.inner**2 + u[:, 0] * (self.outer**2 - self.inner**2)).sqrt()
        angle = 2 * math.pi * u[:, 1]
        return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)


@dataclass(frozen=True)
class SubsetRegression(Density):
    """Which regressors matter, and how much: each is in with probability 1/2, its coefficient then of the base.

    A regressor that is out has the coefficient 0, exactly. Every subset's evidence has a closed form, so that all of
    their probabilities can be enumerated.
    """

    offers: ClassVar[tuple[str, ...]] = ("value", "subspaces")
    design: Tensor  # (S, D)
    y: Tensor  # (S,)
    noise: float

    def log_prob(self, x: Tensor) -> Tensor:
        present = x != 0
        slab = torch.where(present, _normal(x, self.base.mean, self.base.std), 0.0).sum(1)
        likelihood = _normal(self.y, x.double() @ self.design.T, self.noise).sum(1)
        return slab + likelihood - x.shape[1] * math.log(2)

    def posteriors(self) -> tuple[Tensor, list[LinearGaussian | None], Tensor]:
        """All subsets (M, D) bool, the posterior of each one's coefficients, and their log evidences (M,)."""
        d = self.design.shape[1]
        subsets = torch.cartesian_prod(*[torch.tensor([False, True])] * d).view(-1, d)
        laws: list[LinearGaussian | None] = []
        evidence = []
        for chosen in subsets:
            if not chosen.any():
                laws.append(None)
                evidence.append(float(_normal(self.y, torch.zeros_like(self.y), self.noise).sum()))
                continue
            base = Gaussian(self.base.mean[chosen], self.base.cov[chosen][:, chosen])
            law = LinearGaussian.of(base, self.design[:, chosen], self.y, self.noise)
            laws.append(law)
            evidence.append(law.answers().log_evidence)
        return subsets, laws, torch.tensor(evidence, dtype=torch.float64) - d * math.log(2)

    def answers(self) -> Answers:
        """The mixture over all subsets."""
        subsets, laws, evidence = self.posteriors()
        probs, d = torch.softmax(evidence, 0), subsets.shape[1]
        means, squares = torch.zeros(len(laws), d).double(), torch.zeros(len(laws), d, d).double()
        for m, (chosen, law) in enumerate(zip(subsets, laws, strict=True)):
            if law is not None:
                means[m, chosen] = law.law.mean
                squares[m] = squares[m].index_put(tuple(_pairs(chosen)), law.law.cov.flatten())
        mean = probs @ means
        second = (probs[:, None, None] * (squares + means[:, :, None] * means[:, None])).sum(0)
        return Answers(mean, second - mean[:, None] * mean, float(torch.logsumexp(evidence, 0)), subsets, probs)

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """A subset by its probability, then its coefficients: -> (n, D)."""
        subsets, laws, evidence = self.posteriors()
        chosen = torch.multinomial(torch.softmax(evidence, 0), n, replacement=True, generator=rng)
        x = torch.zeros(n, subsets.shape[1], dtype=torch.float64)
        for m in chosen.unique().tolist():
            law, rows = laws[m], (chosen == m).nonzero().flatten()
            if law is not None:
                x[rows[:, None], subsets[m].nonzero().flatten()] = law.draw(len(rows), rng)
        return x


def _pairs(chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of each pair of chosen coordinates."""
    index = chosen.nonzero().flatten()
    row, column = torch.cartesian_prod(index, index).view(-1, 2).unbind(1)
    return row, column


def _normal(x: Tensor, mean: Tensor, std: float | Tensor) -> Tensor:
    """log N(x; mean, std^2), number by number."""
    scale = torch.as_tensor(std, dtype=torch.float64, device=x.device)
    return -0.5 * ((x - mean) / scale).square() - scale.log() - 0.5 * LOG_2PI
