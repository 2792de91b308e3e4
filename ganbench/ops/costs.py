"""Distances to the power p between two sets of points, to 1e-12 of each entry, in units that keep them in range.

Shapes      N, M points of the two sets, D dimensions, E pairs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.errors import BadInput

MEMORY_LIMIT = 4e9  # bytes a cost matrix may take unless the caller says otherwise
BLOCK = 256  # rows that are built or searched at a time: a few MB, so that they stay in cache
CHUNK = 64  # columns whose least bound is taken at once
PRECISION = 1e-12  # relative error of a distance that a matrix product may make
LARGEST_P = 800  # above, |x - y|^p of distances within a factor of two no longer fits into float64
LARGEST = 2.0**900  # costs are cut here in units other than 1: no plan that matters pays as much


def cost_matrix(x: Tensor, y: Tensor, p: float = 1.0, limit: float = MEMORY_LIMIT, unit: float = 1.0) -> Tensor:
    """(|x_i - y_j| / unit)^p in float64: (N, D), (M, D) -> (N, M) on their device.

    Distances are exact to 1e-12 of themselves, entries to p times that. `unit` must be a power of two.
    Raises `BadInput` before anything is allocated when the matrix would take more than `limit` bytes.
    """
    _check_size(len(x), len(y), 8, limit)
    rows = _Rows(x, y, p, unit)
    cost = rows.x.new_empty(len(x), len(y))
    for i in range(0, len(x), BLOCK):
        rows.fill(i, cost[i : i + BLOCK])
    return cost


class _Rows:
    """(|x_i - y_j| / unit)^p in float64, some rows at a time, exact wherever the points lie.

    Above 16 dimensions the squares of distances come from a matrix product of centred points; where its rounding could
    exceed 1e-12, pairs are measured again by their differences.
    """

    def __init__(self, x: Tensor, y: Tensor, p: float, unit: float) -> None:
        x, y = x.double(), y.double()
        if unit != 1:
            x, y = ((t / unit).clamp(-(2.0**450), 2.0**450) for t in (x, y))  # squares of differences stay finite
        self.x, self.y, self.p, self.unit = x, y, p, unit
        self.by_product = x.shape[1] > 16
        if self.by_product:
            centre = y.median(0).values  # unlike the mean it stays among the points when a few are far away
            self.left, self.right = x - centre, y - centre
            self.left_norm, self.right_norm = self.left.square().sum(1), self.right.square().sum(1)

    def fill(self, i: int, out: Tensor) -> None:
        """Write the rows from i on, (B, M)."""
        rows = self.x[i : i + len(out)]
        direct = not self.by_product
        if self.by_product:
            d = rows.shape[1]
            terms = min(d, 8 * math.sqrt(d)) + 6  # its rounding in units of |x|^2 + |y|^2, as in `ops.pairwise`
            norms = torch.add(self.left_norm[i : i + len(out), None], self.right_norm)
            torch.addmm(norms, self.left[i : i + len(out)], self.right.T, alpha=-2, out=out)
            again = (out < norms.mul_(terms * 2.0**-53 / PRECISION)).nonzero()
            direct = 8 * len(again) > out.numel()
        if direct:
            out.copy_(torch.cdist(rows, self.y, compute_mode="donot_use_mm_for_euclid_dist"))
            if self.p != 1:
                out.pow_(self.p)
        else:
            for r, c in (part.unbind(1) for part in again.split(1 << 16)):
                out[r, c] = (rows[r] - self.y[c]).square().sum(1)
            self._power(out)
        if self.unit != 1:
            out.clamp_(max=LARGEST)

    def pairs(self, r: Tensor, c: Tensor) -> Tensor:
        """The entries of pairs, (E,), (E,) -> (E,), from their differences."""
        size = max(1, (1 << 17) // self.x.shape[1])  # a MB of differences: in cache
        parts = [(self.x[a] - self.y[b]).square_().sum(1) for a, b in zip(r.split(size), c.split(size), strict=True)]
        found = self._power(torch.cat(parts))
        return found if self.unit == 1 else found.clamp_(max=LARGEST)

    def _power(self, squares: Tensor) -> Tensor:
        """|x - y|^p from its squares, in place."""
        if self.p == 1:
            return squares.sqrt_()
        return squares if self.p == 2 else squares.pow_(self.p / 2)


class Matrix:
    """Costs C (N, M) >= 0 that are held in float64, as the solver asks for them; `cap` cuts them."""

    def __init__(self, cost: Tensor) -> None:
        self.cost, self.shape, self.device = cost, cost.shape, cost.device
        self.largest = float(cost.max())

    def below(self, rows: slice | Tensor, v: Tensor, cap: float) -> Tensor:
        """Lower bounds of min(C, cap) - v for some rows: (M,) -> (B, M); here the numbers themselves."""
        return cut(self.cost[rows], cap) - v

    def least(self, i: int, below: Tensor, v: Tensor, cap: float) -> Tensor:
        """The least of min(C, cap) - v in each of the rows from i on, which `below` bounds: (B, M), (M,) -> (B,)."""
        return below.amin(1)

    def below_columns(self, columns: Tensor, u: Tensor, cap: float) -> Tensor:
        """Lower bounds of min(C, cap) - u for some columns: (N,) -> (B, N)."""
        return cut(self.cost[:, columns].T, cap) - u

    def of(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Costs of pairs, (E,), on the CPU."""
        return self.cost[rows.to(self.device), columns.to(self.device)].cpu()

    def whole(self) -> Tensor:
        """All of C on the CPU."""
        return self.cost.cpu()

    def part(self, rows: Tensor, columns: Tensor) -> Matrix:
        """The costs of some rows and columns."""
        return Matrix(self.cost[rows.to(self.device)[:, None], columns.to(self.device)])


class Distances:
    """Costs of points, held as float32 lower bounds to search in, and measured again where it matters.

    Half the memory of the matrix, and half its traffic. A bound is at most 2**-21 of its cost below it, so a row's
    least reduced cost is among the few entries whose bounds lie below the best entry that has been measured.
    """

    def __init__(self, x: Tensor, y: Tensor, p: float = 1.0, limit: float = MEMORY_LIMIT, unit: float = 1.0) -> None:
        n, m = len(x), len(y)
        _check_size(n, m, 4, limit)
        self.rows, self.shape, self.device = _Rows(x, y, p, unit), (n, m), x.device
        self.floor = x.new_full((n, -(-m // CHUNK) * CHUNK), math.inf, dtype=torch.float32)
        self.largest = 0.0
        scratch = self.rows.x.new_empty(min(BLOCK, n), m)
        for i in range(0, n, BLOCK):
            block = scratch[: n - i]
            self.rows.fill(i, block)
            self.largest = max(self.largest, float(block.max()))
            torch.mul(block, 1 - 2.0**-22, out=self.floor[i : i + BLOCK, :m])  # rounded to within 2**-24

    @property
    def in_range(self) -> bool:
        """Whether float32 holds such costs without over- or underflow."""
        return 1e-20 < self.largest < 1e30

    def below(self, rows: slice | Tensor, v: Tensor, cap: float) -> Tensor:
        """As `Matrix.below`, with columns of infinity behind the last."""
        return self._minus(self.floor[rows], v, cap)

    def below_columns(self, columns: Tensor, u: Tensor, cap: float) -> Tensor:
        """As `Matrix.below_columns`."""
        return self._minus(self.floor[:, columns].T, u, cap)

    def least(self, i: int, below: Tensor, v: Tensor, cap: float) -> Tensor:
        """As `Matrix.least`: exact."""
        chunks = below.view(len(below), -1, CHUNK)
        lows = chunks.amin(2)
        each = torch.arange(len(below), device=below.device)
        k = lows.argmin(1)
        low, at = chunks[each, k].min(1)
        best = self._measured(i + each, k * CHUNK + at, v, cap)
        # What a float32 difference adds by rounding is less than this share of it.
        most = (best + 2.0**-22 * (best.abs() + low.abs())).float()
        r, k = (lows <= most[:, None]).nonzero().unbind(1)
        if 16 * len(r) > lows.numel():  # as where many points are equal
            block = self.rows.x.new_empty(len(below), self.shape[1])
            self.rows.fill(i, block)
            return (cut(block, cap) - v).amin(1)
        q, at = (chunks[r, k] <= most[r, None]).nonzero().unbind(1)
        found = self._measured(i + r[q], k[q] * CHUNK + at, v, cap)
        return best.scatter_reduce(0, r[q], found, "amin")

    def of(self, rows: Tensor, columns: Tensor) -> Tensor:
        """As `Matrix.of`."""
        return self.rows.pairs(rows.to(self.device), columns.to(self.device)).cpu()

    def whole(self) -> Tensor:
        """As `Matrix.whole`."""
        cost = self.rows.x.new_empty(*self.shape)
        for i in range(0, len(cost), BLOCK):
            self.rows.fill(i, cost[i : i + BLOCK])
        return cost.cpu()

    def part(self, rows: Tensor, columns: Tensor) -> Distances:
        """As `Matrix.part`; the points are in their unit already."""
        x, y = self.rows.x[rows.to(self.device)], self.rows.y[columns.to(self.device)]
        return Distances(x, y, self.rows.p, math.inf)

    def _measured(self, rows: Tensor, columns: Tensor, v: Tensor, cap: float) -> Tensor:
        return cut(self.rows.pairs(rows, columns), cap) - v[columns]

    def _minus(self, floor: Tensor, v: Tensor, cap: float) -> Tensor:
        up = torch.full((floor.shape[1],), -math.inf, device=floor.device)  # columns behind the last stay infinite
        up[: len(v)] = torch.nextafter(v.float(), torch.full_like(v, math.inf).float())
        return cut(floor, cap * (1 - 2.0**-22)) - up


Costs = Matrix | Distances


def cut(cost: Tensor, cap: float) -> Tensor:
    """min(C, cap)."""
    return cost if cap == math.inf else cost.clamp_max(cap)


def _check_size(n: int, m: int, width: int, limit: float) -> None:
    """Raise `BadInput` where n x m numbers of so many bytes take more than the limit."""
    size = float(width) * n * m
    if size > limit:
        most = int(math.sqrt(limit / width))
        raise BadInput(
            f"the cost matrix of {n} x {m} points would take {1e-9 * size:.2f} GB, above the limit of "
            f"{limit / 1e9:.2f} GB; draw at most {most} points a side, raise the limit, or use sliced_wasserstein"
        )


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
