"""Kernels, their Gram matrices and the squared maximum mean discrepancy, dense for losses and tiled for metrics.

Source      Gretton et al. 2012, JMLR 13 (estimators); Sutherland et al. 2017, arXiv:1611.04488 (variance).
Shapes      N, M rows, D dimensions, C columns of a thin matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import torch
from torch import Tensor

from ganbench.ops.pairwise import (
    ALL,
    Form,
    Part,
    center_of,
    distance_error,
    inner_shifts,
    product,
    slices,
    squared_distances,
    squared_norms,
    tiles,
)

Estimator = Literal["unbiased", "biased"]


class Kernel(Protocol):
    """A function of the squared distance or of the inner product of two rows."""

    @property
    def form(self) -> Form:
        """What the kernel is a function of."""
        ...

    def __call__(self, t: Tensor) -> Tensor:
        """Kernel values at squared distances or inner products `t`; elementwise, differentiable."""
        ...


@dataclass(frozen=True)
class RBF:
    """Sum over bandwidths of exp(-|x - y|^2 / (2 bandwidth^2)); a bandwidth is a standard deviation in data units."""

    bandwidths: tuple[float, ...]
    form: Form = "distance"

    def __call__(self, t: Tensor) -> Tensor:
        total = torch.exp(t * (-0.5 / self.bandwidths[0] ** 2))
        for bandwidth in self.bandwidths[1:]:
            total = total + torch.exp(t * (-0.5 / bandwidth**2))
        return total


@dataclass(frozen=True)
class InverseMultiquadric:
    """Sum over scales of c / (c + |x - y|^2), the kernel of WAE-MMD; a scale c is in squared data units."""

    scales: tuple[float, ...]
    form: Form = "distance"

    def __call__(self, t: Tensor) -> Tensor:
        total = self.scales[0] / (self.scales[0] + t)
        for scale in self.scales[1:]:
            total = total + scale / (scale + t)
        return total


@dataclass(frozen=True)
class RationalQuadratic:
    """Sum over alphas of (1 + |x - y|^2 / (2 alpha))^-alpha, the kernel of Binkowski et al. 2018 (arXiv:1801.01401)."""

    alphas: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 5.0)
    form: Form = "distance"

    def __call__(self, t: Tensor) -> Tensor:
        total = (1 + t / (2 * self.alphas[0])).pow(-self.alphas[0])
        for alpha in self.alphas[1:]:
            total = total + (1 + t / (2 * alpha)).pow(-alpha)
        return total


@dataclass(frozen=True)
class Polynomial:
    """(gamma x.y + offset)^degree; KID is degree 3, gamma 1/D, offset 1."""

    gamma: float
    offset: float = 1.0
    degree: int = 3
    form: Form = "product"

    def __call__(self, t: Tensor) -> Tensor:
        return (t * self.gamma + self.offset).pow(self.degree)


@dataclass(frozen=True)
class Linear:
    """x.y: its squared MMD is the squared distance between the means."""

    form: Form = "product"

    def __call__(self, t: Tensor) -> Tensor:
        return t


def gram(x: Tensor, y: Tensor, kernel: Kernel) -> Tensor:
    """Dense kernel matrix (N, D), (M, D) -> (N, M), differentiable in both."""
    return kernel(squared_distances(x, y) if kernel.form == "distance" else x @ y.T)


def mmd2(x: Tensor, y: Tensor, kernel: Kernel, estimator: Estimator = "biased") -> Tensor:
    """Squared MMD of two batches (N, D), (M, D) -> (), dense and differentiable: the loss of GMMN, MMD-GAN, WAE-MMD.

    "biased" is the V-statistic (never negative), "unbiased" leaves out the diagonals of the two within-set matrices.
    """
    xx, yy, xy = gram(x, x, kernel), gram(y, y, kernel), gram(x, y, kernel)
    if estimator == "biased":
        return xx.mean() + yy.mean() - 2 * xy.mean()
    n, m = len(x), len(y)
    within_x = (xx.sum() - xx.diagonal().sum()) / (n * (n - 1))
    within_y = (yy.sum() - yy.diagonal().sum()) / (m * (m - 1))
    return within_x + within_y - 2 * xy.mean()


def gram_within(
    x: Tensor, kernel: Kernel, v: Tensor, size: int | None = None, part: Part = ALL
) -> tuple[Tensor, float]:
    """Off-diagonal Gram matrix times a thin matrix, tile by tile: K with K_ii = 0, (N, C) -> K v (N, C) in float64.

    Also returns the sum of K_ij^2. Each tile above the diagonal serves both triangles. Shares of the tiles add up.
    """
    out = torch.zeros(len(x), v.shape[1], dtype=torch.float64, device=x.device)
    v, squares = v.to(x.dtype), 0.0
    for i, j, tile in tiles(x, form=kernel.form, size=size, part=part):
        k = kernel_(tile, kernel)
        if i == j:
            k.fill_diagonal_(0)
        out[i] += k @ v[j]
        square = float(torch.dot(k.view(-1), k.view(-1)))
        if i != j:
            out[j] += k.T @ v[i]
            square *= 2
        squares += square
    return out, squares


def gram_between(
    x: Tensor, y: Tensor, kernel: Kernel, v_x: Tensor, v_y: Tensor, size: int | None = None, part: Part = ALL
) -> tuple[Tensor, Tensor, float]:
    """Cross Gram matrix times thin matrices: K v_y (N, C) and K^T v_x (M, C) in float64, and the sum of K_ij^2."""
    rows = torch.zeros(len(x), v_y.shape[1], dtype=torch.float64, device=x.device)
    columns = torch.zeros(len(y), v_x.shape[1], dtype=torch.float64, device=x.device)
    v_x, v_y, squares = v_x.to(x.dtype), v_y.to(x.dtype), 0.0
    for i, j, tile in tiles(x, y, form=kernel.form, size=size, part=part):
        k = kernel_(tile, kernel)
        rows[i] += k @ v_y[j]
        columns[j] += k.T @ v_x[i]
        squares += float(torch.dot(k.view(-1), k.view(-1)))
    return rows, columns, squares


def kernel_(tile: Tensor, kernel: Kernel) -> Tensor:
    """Kernel values of a tile, in place where one pass can do it."""
    if kernel.form == "distance":
        tile.clamp_(min=0)
    if isinstance(kernel, RBF) and len(kernel.bandwidths) == 1:
        return tile.mul_(-0.5 / kernel.bandwidths[0] ** 2).exp_()
    if isinstance(kernel, Polynomial):
        return tile.mul_(kernel.gamma).add_(kernel.offset).pow_(kernel.degree)
    return kernel(tile)


def diagonal(x: Tensor, kernel: Kernel) -> Tensor:
    """k(x_i, x_i) in float64: (N, D) -> (N,)."""
    if kernel.form == "distance":
        return kernel(torch.zeros(len(x), dtype=torch.float64, device=x.device))
    return torch.cat([kernel(x[i].double().square().sum(1)) for i in slices(len(x), 1024)])


@dataclass(frozen=True)
class GramSums:
    """Row sums of the three Gram matrices: all that the estimators of MMD^2 and their variance need.

    Each is a sum over pairs, so those of shares of the tiles add up.
    """

    within_x: Tensor  # (N,) sum over j != i of k(x_i, x_j)
    within_y: Tensor  # (M,)
    between_x: Tensor  # (N,) sum over j of k(x_i, y_j)
    between_y: Tensor  # (M,) sum over i of k(x_i, y_j)
    diagonal_x: float  # sum of k(x_i, x_i)
    diagonal_y: float
    squares: tuple[float, float, float]  # sums of k^2: within x, within y (off the diagonal), between

    @property
    def n(self) -> int:
        """Rows of x."""
        return len(self.within_x)

    @property
    def m(self) -> int:
        """Rows of y."""
        return len(self.within_y)

    def __add__(self, other: GramSums) -> GramSums:
        x, y, xy = (a + b for a, b in zip(self.squares, other.squares, strict=True))
        return GramSums(
            self.within_x + other.within_x,
            self.within_y + other.within_y,
            self.between_x + other.between_x,
            self.between_y + other.between_y,
            self.diagonal_x + other.diagonal_x,
            self.diagonal_y + other.diagonal_y,
            (x, y, xy),
        )

    @cached_property
    def _means(self) -> tuple[float, float, float]:
        n, m = len(self.within_x), len(self.within_y)
        within_x = float(self.within_x.sum()) / (n * (n - 1))
        within_y = float(self.within_y.sum()) / (m * (m - 1))
        return within_x, within_y, float(self.between_x.sum()) / (n * m)

    @property
    def unbiased(self) -> float:
        """Mean of K_XX and K_YY off the diagonal, less twice the mean of K_XY; can be negative."""
        within_x, within_y, between = self._means
        return within_x + within_y - 2 * between

    @property
    def biased(self) -> float:
        """The V-statistic, diagonals included; never negative but for rounding, which is set to zero."""
        n, m = len(self.within_x), len(self.within_y)
        xx = (float(self.within_x.sum()) + self.diagonal_x) / n**2
        yy = (float(self.within_y.sum()) + self.diagonal_y) / m**2
        return max(xx + yy - 2 * self._means[2], 0.0)

    @property
    def variance(self) -> float:
        """Variance of the unbiased estimator over draws of both sets.

        The plug-in variance of the first-order (Hajek) projections contains, in expectation, twice the second-order
        variance; one is taken off, and the second-order part alone is the lower bound. Under equal laws, where only
        that part is left, the noise of the first makes the error come out some 25 % too large: the safe side.
        """
        n, m = len(self.within_x), len(self.within_y)
        a = self.within_x / (n - 1) - self.between_x / m
        b = self.within_y / (m - 1) - self.between_y / n
        plug_in = 4 * float(a.var()) / n + 4 * float(b.var()) / m
        within_x, within_y, between = self._means
        second = (
            2 * _centred_square(self.squares[0] / (n * (n - 1)), self.within_x / (n - 1), within_x) / (n * (n - 1))
            + 2 * _centred_square(self.squares[1] / (m * (m - 1)), self.within_y / (m - 1), within_y) / (m * (m - 1))
            + 4 * _between_square(self.squares[2] / (n * m), self.between_x / m, self.between_y / n, between) / (n * m)
        )
        return max(plug_in - second, second, 0.0)


def _centred_square(mean_square: float, row_means: Tensor, mean: float) -> float:
    """E of the doubly centred kernel squared: E k^2 - 2 E (row mean)^2 + (mean)^2."""
    return max(mean_square - 2 * float(row_means.square().mean()) + mean**2, 0.0)


def _between_square(mean_square: float, rows: Tensor, columns: Tensor, mean: float) -> float:
    centred = mean_square - float(rows.square().mean()) - float(columns.square().mean()) + mean**2
    return max(centred, 0.0)


def membership(index: Tensor, n: int) -> Tensor:
    """Columns that mark the rows of each subset: (S, B) indices without repeats -> (N, S) of zeros and ones."""
    return torch.zeros(n, len(index), device=index.device).scatter_(0, index.T, 1.0)


def gram_sums(x: Tensor, y: Tensor, kernel: Kernel, size: int | None = None, part: Part = ALL) -> GramSums:
    """Row sums of K_XX, K_YY and K_XY in one tiled pass over (N, D) and (M, D), accumulated in float64."""
    return subset_sums(x, y, kernel, torch.empty(0, 0).long(), torch.empty(0, 0).long(), size, part)[1]


def subset_sums(
    x: Tensor, y: Tensor, kernel: Kernel, index_x: Tensor, index_y: Tensor, size: int | None = None, part: Part = ALL
) -> tuple[Tensor, GramSums]:
    """Unbiased MMD^2 of each pair of subsets (S, B), (S, B) -> (S,), and the sums over all pairs, from one pass.

    Subsets are columns of zeros and ones beside the column of ones that gives the row sums; in float64. Both results
    are sums over tiles, so those of shares add up; the diagonals are in the first.
    """
    marks_x, marks_y = membership(index_x.to(x.device), len(x)), membership(index_y.to(x.device), len(y))
    thin_x = torch.cat([marks_x, marks_x.new_ones(len(x), 1)], 1)
    thin_y = torch.cat([marks_y, marks_y.new_ones(len(y), 1)], 1)
    within_x, square_x = gram_within(x, kernel, thin_x, size, part)
    within_y, square_y = gram_within(y, kernel, thin_y, size, part)
    between_x, between_y, square_xy = gram_between(x, y, kernel, thin_x, thin_y, size, part)
    sums = GramSums(
        within_x[:, -1],
        within_y[:, -1],
        between_x[:, -1],
        between_y[:, -1],
        float(diagonal(x, kernel).sum()) if part[0] == 0 else 0.0,
        float(diagonal(y, kernel).sum()) if part[0] == 0 else 0.0,
        (square_x, square_y, square_xy),
    )
    same = (marks_x.double() * within_x[:, :-1]).sum(0) + (marks_y.double() * within_y[:, :-1]).sum(0)
    cross = (marks_x.double() * between_x[:, :-1]).sum(0)
    rows = index_x.shape[1]
    return same / max(rows * (rows - 1), 1) - 2 * cross / max(rows**2, 1), sums


def subset_mmd2(x: Tensor, y: Tensor, kernel: Kernel, index_x: Tensor, index_y: Tensor) -> Tensor:
    """Unbiased MMD^2 of each pair of subsets x[index_x[s]], y[index_y[s]]: (S, B), (S, B) -> (S,) in float64.

    The value alone, in little more than the time of its products: no row sums for an error, no diagonal, and all
    subsets are centred on the mean of both sets, which keeps float32 products of rows far from zero exact enough.
    """
    center = center_of(x, y)
    offsets = squared_norms if kernel.form == "distance" else inner_shifts
    of_x, of_y = offsets(x, center).to(x.dtype), offsets(y, center).to(x.dtype)
    values = [
        _unbiased((x[i].sub_(center), of_x[i]), (y[j].sub_(center), of_y[j]), kernel)  # indexing has made copies
        for i, j in zip(index_x, index_y, strict=True)
    ]
    return torch.tensor(values, dtype=torch.float64, device=x.device)


Centred = tuple[Tensor, Tensor]  # rows less the centre (N, D), and what each row adds to its pairs (N,)


def _unbiased(x: Centred, y: Centred, kernel: Kernel) -> float:
    n, m = len(x[0]), len(y[0])
    within_x, within_y = (2 * sum(_sum(k.triu_(1)) for k in _strips(a, a, kernel, upper=True)) for a in (x, y))
    between = sum(_sum(k) for k in _strips(x, y, kernel))
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m)


def _strips(x: Centred, y: Centred, kernel: Kernel, upper: bool = False) -> Iterator[Tensor]:
    """Kernel values of 256 rows of x at a time with those of y, or with those from the strip's first row on."""
    for i in slices(len(x[0]), 256):
        j = slice(i.start if upper else 0, None)
        strip = product(x[0][i], y[0][j])
        if kernel.form == "distance":
            strip.mul_(-2)
        yield kernel_(strip.add_(x[1][i, None]).add_(y[1][j]), kernel)


def _sum(k: Tensor) -> float:
    return float((k @ k.new_ones(k.shape[1])).double().sum())


def median_distance(x: Tensor, at_most: int = 2000) -> float:
    """Median distance between different rows (N, D), N >= 2: the usual bandwidth; 0 when most pairs are duplicates.

    Above `at_most` rows it is the median over that many evenly spaced ones, so it depends on the set alone.
    """
    if len(x) > at_most:
        x = x[torch.linspace(0, len(x) - 1, at_most, device=x.device).long()]
    x = x.double()
    norms = squared_norms(x, center_of(x))
    square = squared_distances(x, x)
    square[square <= distance_error(norms[:, None], norms[None], x.shape[1], x.dtype)] = 0
    above = torch.ones_like(square, dtype=torch.bool).triu_(1)
    return float(square[above].median().sqrt())
