"""Sliced Wasserstein distances: the mean over random directions, and the worst direction.

SW_p^p is the mean over directions of the exact one-dimensional W_p^p (Rabin et al. 2011), for any two sizes; the value
is its p-th root, in data units. Projections are formed in the dtype of the input and averaged in float64.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ganbench.errors import BadConfig, BadInput
from ganbench.metrics.base import Score, check_sets, metric, signature
from ganbench.metrics.partial import Shares, check_same
from ganbench.ops.pairwise import ALL, Part, precision_name
from ganbench.ops.sliced import Potentials, max_sliced_direction, potentials, random_directions
from ganbench.ops.sliced import sliced_wasserstein as per_direction

MOST_SINGLE = 4  # largest p that float32 takes: of higher powers small distances underflow
ERROR_DIRECTIONS = 100  # along which potentials are formed: sorting with its order costs more than sorting


def error_directions(n: int) -> range:
    """Which of n directions tell the error: far apart, so that pairs within an orthogonal block stay as rare."""
    return range(0, n, -(-n // ERROR_DIRECTIONS))


@dataclass(frozen=True)
class SlicedSums:
    """W_p^p along one share of the directions; shares of one set of directions add up, exactly."""

    costs: Tensor  # (L,) float64, zero along the directions of other shares
    potentials: Potentials  # of all rows, along those of the `error_directions` that are this share's
    directions: Tensor  # (D,) their mean, which tells one set of directions from another
    shares: Shares
    kind: str
    p: float
    n: int
    m: int
    precision: str

    @classmethod
    def of(
        cls,
        samples: Tensor,
        reference: Tensor,
        *,
        rng: torch.Generator,
        p: float = 2.0,
        n_directions: int = 500,
        kind: Literal["orthogonal", "gaussian"] = "orthogonal",
        directions: Tensor | None = None,
        part: Part = ALL,
    ) -> SlicedSums:
        """Share k of K, `part` = (k, K); everything else as for `sliced_wasserstein`, with the same seed in each share.

        Raises what `sliced_wasserstein` raises, and `BadConfig` unless 0 <= k < K.
        """
        x, y = check_sets(samples=samples, reference=reference)
        if not 1 <= p < float("inf"):
            raise BadConfig(f"p must be at least 1 and finite; got {p}")
        x, y = (t.double() if p > MOST_SINGLE else t for t in (x, y))
        shares, d = Shares.one(part), x.shape[1]
        if directions is None:
            if n_directions < 2:
                raise BadConfig(f"n_directions must be at least 2; got {n_directions}")
            directions, label = random_directions(n_directions, d, rng, kind, x.dtype).to(x.device), str(kind)
        else:
            directions, label = _given(directions, d).to(x), "given"
        costs = torch.zeros(len(directions), dtype=torch.float64, device=x.device)
        mine = slice(part[0], None, part[1])
        if part[0] < len(directions):
            costs[mine] = per_direction(x, y, directions[mine], p)
            _check_powers(float(costs.max()), x, y, directions[mine], p)
        of_errors = [i for i in error_directions(len(directions)) if i % part[1] == part[0]]
        found = potentials(x, y, directions[of_errors], p)
        return cls(costs, found, directions.mean(0), shares, label, p, len(x), len(y), precision_name(x))

    def __add__(self, other: SlicedSums) -> SlicedSums:
        check_same(self, other, "kind", "p", "n", "m", "precision")
        same = self.costs.shape == other.costs.shape and self.directions.shape == other.directions.shape
        if not same or not torch.allclose(self.directions, other.directions, rtol=0, atol=1e-6):  # a rounding apart
            raise BadInput("parts must look along one set of directions; seed the generator of every share alike")
        shares, found = self.shares + other.shares, self.potentials + other.potentials
        return replace(self, costs=self.costs + other.costs, potentials=found, shares=shares)

    def score(self) -> Score:
        """SW_p and its errors over the draw and over directions. Raises `BadInput` while shares are missing."""
        self.shares.check_complete()
        costs, p, d = self.costs, self.p, len(self.directions)
        mean = float(costs.mean())
        value = mean ** (1 / p)
        slope = value / (p * mean) if mean > 0 else 0.0  # of the root
        blocks = len(costs) // d if self.kind == "orthogonal" else 0
        independent = costs[: blocks * d].view(blocks, d).mean(1) if blocks >= 8 else costs
        over = float(independent.std()) / len(independent) ** 0.5 * slope if len(independent) > 1 else None
        se = self.potentials.variance(len(costs)) ** 0.5 * slope if min(self.n, self.m) > 1 else None
        parts = (f"p={p:g}", f"L={len(costs)}", self.kind, f"n={self.n}", f"m={self.m}", "x", self.precision)
        extra = {"directions": len(costs), "se_over_directions": over}
        return Score("sliced_wasserstein", value, self.n, signature("sw", *parts), "min", se=se, extra=extra)


@metric("sliced_wasserstein", direction="min", degree=1, bounds=(0, None))
def sliced_wasserstein(
    samples: Tensor,
    reference: Tensor,
    *,
    rng: torch.Generator,
    p: float = 2.0,
    n_directions: int = 500,
    kind: Literal["orthogonal", "gaussian"] = "orthogonal",
    directions: Tensor | None = None,
) -> Score:
    """SW_p between samples (N, *E) and reference (M, *E) over seeded or given directions (L, D).

    Given directions are scaled to length one. `se` is the spread of the value over draws of both sets, to first order:
    the mean over directions of the optimal potentials is the influence of a row, here over 100 of the directions at
    most. It does not hold the bias, and errs to the safe side where both sets come from one law (the limit is
    then not normal). `extra["se_over_directions"]` is the error of L directions instead of all, for these two sets.
    Orthogonal directions depend on one another within a block of D: with 8 full blocks or more that error comes from
    block means, with fewer it treats directions as independent, which overstates it.
    Raises `BadInput` for sets it cannot use, `BadConfig` for p < 1.
    """
    return SlicedSums.of(
        samples, reference, rng=rng, p=p, n_directions=n_directions, kind=kind, directions=directions
    ).score()


def _check_powers(cost: float, x: Tensor, y: Tensor, directions: Tensor, p: float) -> None:
    """Refuses a p whose powers of these distances are no float64 numbers. Raises `BadInput`."""
    lost = math.isinf(cost) or (cost < sys.float_info.min and bool((per_direction(x, y, directions, 1.0) > 0).any()))
    if p > 2 and lost:
        raise BadInput(f"p must be smaller for these sets: distances to the power {p:g} leave float64; try p = 20")


def _given(directions: Tensor, n_dims: int) -> Tensor:
    """User directions, checked and scaled to length one."""
    if directions.ndim != 2 or directions.shape[1] != n_dims or not len(directions):
        raise BadInput(f"directions must have shape (L, {n_dims}); got {tuple(directions.shape)}")
    length = directions.double().norm(dim=1, keepdim=True)
    if not bool((torch.isfinite(length) & (length > 0)).all()):
        raise BadInput("directions must be finite and not zero; drop the rows that are")
    unit: Tensor = directions.double() / length
    return unit


@metric("max_sliced_wasserstein", direction="min", version=2, degree=1, bounds=(0, None))
def max_sliced_wasserstein(
    samples: Tensor, reference: Tensor, *, rng: torch.Generator, p: float = 2.0, starts: int = 8, steps: int = 50
) -> Score:
    """Largest W_p over directions (Deshpande et al. 2019), found by ascent from random ones and the mean shift.

    The problem is not concave: the value is a lower bound of the maximum on these sets, and biased upward as a
    measure of the laws, like every maximum over a sample; compare it with its floor. Whatever the input's type, the
    ascent is in float64, along a path that does not hang on roundings: every processor finds the same direction.
    """
    x, y = check_sets(samples=samples, reference=reference, at_least=2)
    if not 1 <= p < float("inf"):
        raise BadConfig(f"p must be at least 1 and finite; got {p}")
    x, y = x.double(), y.double()
    start = random_directions(starts, x.shape[1], rng, dtype=x.dtype).to(x.device)
    shift = (x.mean(0) - y.mean(0))[None]
    if bool(shift.norm() > 0):
        start = torch.cat([start, shift])
    theta, cost = max_sliced_direction(x, y, start, p, steps)
    _check_powers(cost, x, y, theta[None], p)
    parts = (f"p={p:g}", f"starts={starts}", f"steps={steps}", f"n={len(x)}", f"m={len(y)}", "x", precision_name(x))
    return Score("max_sliced_wasserstein", cost ** (1 / p), len(x), signature("max_sw", *parts, version=2), "min")
