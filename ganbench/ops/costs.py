"""Distances to the power p between two sets of points, to 1e-12 of each entry, in units that keep them in range.

Shapes      N, M points of the two sets, D dimensions, E pairs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.errors import BadInput

MEMORY_LIMIT = 4e9  # bytes a cost matrix may take unless the caller says otherwise
BLOCK = 256  # rows built at a time
PRECISION = 1e-12  # relative error of a distance that a matrix product may make
LARGEST_P = 800  # above, |x - y|^p of distances within a factor of two no longer fits into float64
LARGEST = 2.0**900  # costs are cut here in units other than 1: no plan that matters pays as much


def cost_matrix(x: Tensor, y: Tensor, p: float = 1.0, limit: float = MEMORY_LIMIT, unit: float = 1.0) -> Tensor:
    """(|x_i - y_j| / unit)^p in float64, built in row blocks: (N, D), (M, D) -> (N, M) on their device.

    Distances are exact to 1e-12 of themselves (entries to p times that) wherever the points lie. Above 16 dimensions
    their squares come from a matrix product of centred points; where its rounding could exceed 1e-12, pairs are
    measured again by their differences. `unit` must be a power of two.
    Raises `BadInput` before anything is allocated when the matrix would take more than `limit` bytes.
    """
    n, m, d = len(x), len(y), x.shape[1]
    if 8.0 * n * m > limit:
        most = int(math.sqrt(limit / 8))
        raise BadInput(
            f"the cost matrix of {n} x {m} points would take {8e-9 * n * m:.2f} GB, above the limit of "
            f"{limit / 1e9:.2f} GB; draw at most {most} points a side, raise the limit, or use sliced_wasserstein"
        )
    x, y = x.double(), y.double()
    if unit != 1:
        x, y = ((t / unit).clamp(-(2.0**450), 2.0**450) for t in (x, y))  # squares of differences stay finite
    cost = x.new_empty(n, m)
    by_product = d > 16
    if by_product:
        centre = y.median(0).values  # unlike the mean it stays among the points when a few are far away
        left, right = x - centre, y - centre
        left_norm, right_norm = left.square().sum(1), right.square().sum(1)
        terms = min(d, 8 * math.sqrt(d)) + 6  # rounding of a product in units of |x|^2 + |y|^2, as in `ops.pairwise`
        near = terms * 2.0**-53 / PRECISION
        scratch = x.new_empty(min(BLOCK, n), m)
    for i in range(0, n, BLOCK):
        rows, block = x[i : i + BLOCK], cost[i : i + BLOCK]
        direct = not by_product
        if by_product:
            norms = torch.add(left_norm[i : i + BLOCK, None], right_norm, out=scratch[: len(rows)])
            torch.addmm(norms, left[i : i + BLOCK], right.T, alpha=-2, out=block)
            again = (block < norms.mul_(near)).nonzero()
            direct = 8 * len(again) > block.numel()
        if direct:
            block.copy_(torch.cdist(rows, y, compute_mode="donot_use_mm_for_euclid_dist"))
            if p != 1:
                block.pow_(p)
        else:
            for r, c in (part.unbind(1) for part in again.split(1 << 16)):
                block[r, c] = (rows[r] - y[c]).square().sum(1)
            if p == 1:
                block.sqrt_()
            elif p != 2:
                block.pow_(p / 2)
    return cost if unit == 1 else cost.clamp_(max=LARGEST)


def lengths(x: Tensor, y: Tensor) -> Tensor:
    """|x_k - y_k| of pairs of points, (E, D) -> (E,), without over- or underflow of the squares."""
    difference = (x - y).abs()
    largest = difference.amax(1)
    scaled = difference / torch.where(largest > 0, largest, 1)[:, None]
    return largest * scaled.square().sum(1).sqrt()


def power_mean(values: Tensor, mass: Tensor, p: float) -> float:
    """(sum_k mass_k values_k^p)^(1/p) for values >= 0, (E,), (E,), without over- or underflow of the powers."""
    largest = float(values.max())
    return largest * float(mass @ (values / largest).pow(p)) ** (1 / p) if largest > 0 else 0.0


def unit_of(x: Tensor, y: Tensor, p: float, distance: float | None = None) -> float:
    """The power of two in which distances to the power p stay in range; 1 where they do so anyway.

    `distance` is the one that matters, by default a bound of the largest between the sets (N, D), (M, D).
    Raises `BadInput` for a p outside [1, 800], sets that do not go together or are empty, points that are not finite
    and distances near the end of float64.
    """
    if not 1 <= p <= LARGEST_P:
        raise BadInput(f"p must be at least 1 and at most {LARGEST_P}; got {p}")
    if distance is None:
        if x.ndim != 2 or y.ndim != 2 or x.shape[1:] != y.shape[1:] or 0 in (*x.shape, *y.shape):
            raise BadInput(
                f"points must be two matrices of at least one row and the same columns; got shapes {tuple(x.shape)} "
                f"and {tuple(y.shape)}"
            )
        low, high = (torch.stack([f(x, 0), f(y, 0)]) for f in (torch.amin, torch.amax))
        distance = float((high.amax(0) / 2 - low.amin(0) / 2).max()) * 2 * math.sqrt(x.shape[1])
        if not math.isfinite(distance) or distance > 1e300:
            raise BadInput(
                f"points must be finite and less than 1e300 apart; they are {distance:.3g} apart; check them for NaN, "
                "infinity or values whose powers overflow"
            )
        if abs(p * math.log2(distance)) <= 400 if distance > 0 else True:
            return 1.0
    return 2.0 ** max(math.ceil(math.log2(distance)), -1000)


def needs_unit(distance: float, unit: float, p: float) -> bool:
    """Whether (distance / unit)^p, or the squares on the way to it, are about to underflow."""
    return 0 < distance < unit * 2 ** -min(400, 820 / p) and unit > 2.0**-1000
