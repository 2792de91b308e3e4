"""Nearest neighbours and balls around them, from tiles of distances that are measured again where it matters.

Tiles (matrix products, mostly float32) only screen: whatever lies within their rounding bound of a decision is measured
again, directly and in float64, so results are those of exact distances, duplicates and ties included.

Shapes      N, M rows, D dimensions, K neighbours, P pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.ops.pairwise import center_of, distance_error, slices, squared_norms, tiles

SLACK = 2  # screened candidates kept beyond the K asked for


@dataclass(frozen=True)
class Neighbors:
    """The K nearest rows of each row, nearest first."""

    squares: Tensor  # (N, K) squared distances, float64
    index: Tensor  # (N, K)


def pair_squares(x: Tensor, y: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """|x_i - y_j|^2 of given pairs, directly in float64: (N, D), (M, D), (P,), (P,) -> (P,)."""
    out = torch.empty(len(i), dtype=torch.float64, device=x.device)
    for part in slices(len(i), max(1, (1 << 18) // x.shape[1])):
        gap = x[i[part]].double()
        gap -= y[j[part]]
        out[part] = gap.square_().sum(1)
    return out


def nearest(x: Tensor, y: Tensor | None = None, k: int = 1) -> Neighbors:
    """The k nearest rows of y (M, D) to each row of x (N, D); without y, of x itself, never the row itself.

    Raises `ValueError` when there are fewer than k rows to choose from.
    """
    rows = _Screen(x, x if y is None else y, k, within=y is None)
    turned = torch.empty(0)
    for i, j, tile in tiles(x, y):
        if y is None and i == j:
            tile.fill_diagonal_(math.inf)
        rows.update(i, j, tile)
        if y is None and i != j:
            turned = tile.T.contiguous() if turned.shape != tile.T.shape else turned.copy_(tile.T)
            rows.update(j, i, turned)
    return rows.exact()


def nearest_both(x: Tensor, y: Tensor, k: int = 1) -> tuple[Neighbors, Neighbors]:
    """The k nearest rows of y to each row of x, and of x to each row of y, from one pass."""
    rows, columns = _Screen(x, y, k), _Screen(y, x, k)
    for i, j, tile in tiles(x, y):
        rows.update(i, j, tile)
        columns.update(j, i, tile.T.contiguous())
    return rows.exact(), columns.exact()


class _Screen:
    """Running nearest candidates of each row by screened distance."""

    def __init__(self, x: Tensor, y: Tensor, k: int, within: bool = False) -> None:
        self.x, self.y, self.k, self.within = x, y, k, within
        self.others = len(y) - within
        if k > self.others:
            raise ValueError(f"{k} neighbours need as many other rows; got {self.others}")
        width = min(k + SLACK, self.others)
        self.squares = x.new_full((len(x), width), math.inf)
        self.index = torch.zeros(len(x), width, dtype=torch.long, device=x.device)

    def update(self, i: slice, j: slice, tile: Tensor) -> None:
        """Take in the distances of rows i to columns j."""
        width = self.squares.shape[1]
        near = tile.topk(min(width, tile.shape[1]), dim=1, largest=False, sorted=False)
        squares = torch.cat([self.squares[i], near.values], 1)
        best = squares.topk(width, dim=1, largest=False)
        self.squares[i] = best.values
        self.index[i] = torch.cat([self.index[i], near.indices + j.start], 1).gather(1, best.indices)

    def exact(self) -> Neighbors:
        """The neighbours by float64 distance; rows whose screen cannot rule out a better one are searched in full."""
        n, width = self.index.shape
        row = torch.arange(n, device=self.x.device).repeat_interleave(width)
        squares = pair_squares(self.x, self.y, row, self.index.flatten()).view(n, width)
        order = squares.argsort(dim=1, stable=True)[:, : self.k]
        found = Neighbors(squares.gather(1, order), self.index.gather(1, order))
        if width < self.others:
            left_out = (self.squares[:, -1].double() - _row_error(self.x, self.y)).clamp(min=0)
            for r in (found.squares[:, -1] > left_out).nonzero().flatten().tolist():
                all_squares = pair_squares(self.x[r : r + 1].expand(len(self.y), -1), self.y, *[_every(self.y)] * 2)
                if self.within:
                    all_squares[r] = math.inf
                best = all_squares.topk(self.k, largest=False)
                found.squares[r], found.index[r] = best.values, best.indices
        return found


def _every(y: Tensor) -> Tensor:
    return torch.arange(len(y), device=y.device)


def _row_error(x: Tensor, y: Tensor) -> Tensor:
    """Bound on the screening error of each row of x against any row of y: (N,)."""
    center = center_of(x) if x is y else center_of(x, y)
    norms_x = squared_norms(x, center)
    norms_y = norms_x if x is y else squared_norms(y, center)
    return distance_error(norms_x, norms_y.max(), x.shape[1], x.dtype)


@dataclass(frozen=True)
class Balls:
    """How rows y (M) lie in balls around rows x (N), for two radii of x, and x in balls around y."""

    y_inside: Tensor  # (M,) bool: within (<=) the first radius of some x
    x_inside: Tensor  # (N,) bool: within (<=) the radius of some y
    count: Tensor  # (M,) how many balls of the second radius of x hold y strictly (<)
    reached: Tensor  # (N,) bool: some y lies strictly (<) within the second radius of x


def balls(x: Tensor, y: Tensor, square_x: Tensor, strict_square_x: Tensor, square_y: Tensor) -> Balls:
    """Relations of (N, D) and (M, D) with squared radii (N,), (N,), (M,), in one tiled pass over their distances.

    Comparisons within the rounding bound of the tiles are decided by float64 distances.
    """
    n, m = len(x), len(y)
    error = _row_error(x, y)  # (N,)
    low, high = (strict_square_x - error).to(x.dtype)[:, None], (strict_square_x + error).to(x.dtype)[:, None]
    radius_x, radius_y = square_x.to(x.dtype)[:, None], square_y.to(x.dtype)[None]
    margin_y, margin_x = (
        x.new_full((size,), math.inf) for size in (m, n)
    )  # distance less radius, the least over balls
    nearest_y = x.new_full((n,), math.inf)
    count = torch.zeros(m, dtype=torch.float64, device=x.device)
    for i, j, tile in tiles(x, y):
        scratch = torch.sub(tile, radius_x[i])
        margin_y[j] = torch.minimum(margin_y[j], scratch.amin(0))
        torch.sub(tile, radius_y[:, j], out=scratch)
        margin_x[i] = torch.minimum(margin_x[i], scratch.amin(1))
        nearest_y[i] = torch.minimum(nearest_y[i], tile.amin(1))
        torch.lt(tile, low[i], out=scratch)
        count[j] += scratch.sum(0)
        certain = scratch.sum(1)
        doubtful = (torch.le(tile, high[i], out=scratch).sum(1) > certain).nonzero().flatten()
        a, b = ((tile[doubtful] >= low[i][doubtful]) & (tile[doubtful] <= high[i][doubtful])).nonzero().unbind(1)
        a, b = doubtful[a] + i.start, b + j.start
        inside = pair_squares(x, y, a, b) < strict_square_x[a]
        count.index_add_(0, b, inside.double())
    slack = float(error.max())
    y_inside, x_inside = margin_y < 0, margin_x < 0
    for r in (margin_y.abs() <= slack).nonzero().flatten().tolist():
        y_inside[r] = bool((pair_squares(x, y[r : r + 1].expand(n, -1), *[_every(x)] * 2) <= square_x).any())
    for r in (margin_x.abs() <= slack).nonzero().flatten().tolist():
        x_inside[r] = bool((pair_squares(y, x[r : r + 1].expand(m, -1), *[_every(y)] * 2) <= square_y).any())
    reached = nearest_y.double() < strict_square_x
    for r in ((nearest_y.double() - strict_square_x).abs() <= error).nonzero().flatten().tolist():
        squares = pair_squares(y, x[r : r + 1].expand(m, -1), *[_every(y)] * 2)
        reached[r] = bool(squares.min() < strict_square_x[r])
    return Balls(y_inside, x_inside, count.long(), reached)
