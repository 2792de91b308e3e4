"""A law that is given by its density, for methods that learn from no data: what may be asked of it, and at what cost.

Shapes      B batch, D dimensions, S factors, Q places on a line.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from ganbench.errors import NotApplicable

T = TypeVar("T")


@dataclass(frozen=True)
class Gaussian:
    """A normal law in D dimensions, in float64."""

    mean: Tensor  # (D,)
    cov: Tensor  # (D, D)

    @property
    def std(self) -> Tensor:
        """Standard deviation of each coordinate: (D,)."""
        return self.cov.diagonal().sqrt()

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density in nats: (B, D) -> (B,)."""
        factor: Tensor = torch.linalg.cholesky(self.cov)
        z: Tensor = torch.linalg.solve_triangular(factor, (x - self.mean).T, upper=False)
        normaliser = factor.diagonal().log().sum() + 0.5 * len(self.mean) * math.log(2 * math.pi)
        return -0.5 * z.square().sum(0) - normaliser

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """n draws: -> (n, D)."""
        z = torch.randn(n, len(self.mean), generator=rng, dtype=self.mean.dtype, device=self.mean.device)
        factor: Tensor = torch.linalg.cholesky(self.cov)
        return self.mean + z @ factor.T

    def to(self, device: torch.device) -> Gaussian:
        """The same law on `device`."""
        return moved(self, device)


@dataclass(frozen=True)
class Density:
    """A log density known up to a constant, and a Gaussian that covers it; a subclass says what else is known.

    `offers` says it in words, as the registration of the data set does: "value", "gradient", "conditionals", "factors",
    and "subspaces" for a law with mass on coordinates that are exactly 0, whose `log_prob` is with respect to counting
    which are and to length for the others.
    """

    offers: ClassVar[tuple[str, ...]] = ("value", "gradient")

    base: Gaussian  # the prior of a posterior; elsewhere any law that covers it, to start or to propose from

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density up to a constant, in float64 nats: (B, D) -> (B,)."""
        raise NotImplementedError

    def conditional(self, x: Tensor, i: int, rng: torch.Generator) -> Tensor:
        """A draw of coordinate i given the others: (B, D) -> (B,)."""
        raise NotApplicable(f"{type(self).__name__} has no conditionals to draw from")

    @property
    def directions(self) -> Tensor:
        """Each factor is a function of one product of x: (S, D). The density is the base times all factors."""
        raise NotApplicable(f"{type(self).__name__} is not a product of factors")

    def log_factors(self, u: Tensor) -> Tensor:
        """Log of each factor at places along its direction: (S, Q) -> (S, Q)."""
        raise NotApplicable(f"{type(self).__name__} is not a product of factors")

    def to(self: Density, device: torch.device) -> Density:
        """The same law on `device`."""
        return moved(self, device)


class Metered:
    """A density that counts what is asked of it: a value is one evaluation, a gradient counts as much as a value."""

    def __init__(self, density: Density) -> None:
        self.density, self.evaluations = density, 0

    @property
    def base(self) -> Gaussian:
        """The law that covers it, which costs nothing."""
        return self.density.base

    def log_prob(self, x: Tensor) -> Tensor:
        """(B, D) -> (B,), for one evaluation a point."""
        self.evaluations += len(x)
        return self.density.log_prob(x)

    def conditional(self, x: Tensor, i: int, rng: torch.Generator) -> Tensor:
        """(B, D) -> (B,), for one evaluation a point."""
        self.evaluations += len(x)
        return self.density.conditional(x, i, rng)

    def log_factors(self, u: Tensor) -> Tensor:
        """(S, Q) -> (S, Q), for Q evaluations: each of all factors once."""
        self.evaluations += u.shape[1]
        return self.density.log_factors(u)

    def gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Value and gradient: (B, D) -> (B,), (B, D), for two evaluations a point."""
        self.evaluations += 2 * len(x)
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            value = self.density.log_prob(x)
            (slope,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), slope

    def hessian(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Value, gradient and Hessian: (B, D) -> (B,), (B, D), (B, D, D), for 2 + 2 D evaluations a point."""
        self.evaluations += (2 + 2 * x.shape[1]) * len(x)
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            value = self.density.log_prob(x)
            (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
            rows = [torch.autograd.grad(slope[:, i].sum(), x, retain_graph=True)[0] for i in range(x.shape[1])]
        return value.detach(), slope.detach(), torch.stack(rows, 1)


@dataclass(frozen=True)
class Inferred:
    """What a method says of a density."""

    mean: Tensor  # (D,)
    cov: Tensor  # (D, D)
    evaluations: int
    log_evidence: float | None = None  # log of the density's integral, or a bound; None for a method that gives none
    ess: float | None = None  # effective number of draws; None for one that draws from its own approximation


@dataclass(frozen=True)
class Answers:
    """What is true of a density, by a closed form or by quadrature; no method sees it."""

    mean: Tensor  # (D,)
    cov: Tensor  # (D, D)
    log_evidence: float
    subsets: Tensor | None = None  # (2^D, D) bool which coordinates are not 0, where some may be
    probs: Tensor | None = None  # (2^D,) of those


def moved(law: T, device: torch.device) -> T:
    """A dataclass with its tensors, and those of the dataclasses in it, on `device`."""
    held = {f.name: getattr(law, f.name) for f in dataclasses.fields(law)}  # type: ignore[arg-type]
    there = {
        k: v.to(device) if isinstance(v, Tensor) else moved(v, device) if dataclasses.is_dataclass(v) else v
        for k, v in held.items()
    }
    return dataclasses.replace(law, **there)  # type: ignore[type-var]
