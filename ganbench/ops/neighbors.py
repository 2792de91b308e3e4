"""Nearest neighbours, exactly, from tiles of distances that are measured again where it matters.

Tiles (matrix products, mostly float32) only screen: whatever lies within their rounding bound of a decision is measured
again, directly and in float64, so results are those of exact distances, duplicates and ties included.

Shapes      N, M rows, D dimensions, K neighbours, P pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ganbench.ops.pairwise import center_of, distance_error, slices, squared_norms, tiles

SLACK = 2  # screened candidates kept beyond the K asked for
TREE_DIMS = 8  # up to here a k-d tree is exact, faster, and does not mind tight clusters that rounding cannot screen


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
    if x.shape[1] <= TREE_DIMS:
        return _tree(x, y, k)
    turned = torch.empty(0)
    for i, j, tile in tiles(x, y):
        if y is None and i == j:
            tile.fill_diagonal_(math.inf)
        rows.update(i, j, tile)
        if y is None and i != j:
            turned = tile.T.contiguous() if turned.shape != tile.T.shape else turned.copy_(tile.T)
            rows.update(j, i, turned)
    return rows.exact()


def _tree(x: Tensor, y: Tensor | None, k: int) -> Neighbors:
    """As `nearest`, through scipy's k-d tree in float64."""
    points, own = x.double().cpu().numpy(), y is None
    others = points if y is None else y.double().cpu().numpy()
    _, index = cKDTree(others).query(points, k=k + own)
    found = torch.from_numpy(index).reshape(len(points), k + own).to(x.device)
    if own:  # the row itself is among the nearest, though not always first where rows repeat
        itself = found == torch.arange(len(x), device=x.device)[:, None]
        itself[:, -1] |= ~itself.any(1)
        found = found[~itself].view(len(x), k)
    row = torch.arange(len(x), device=x.device).repeat_interleave(k)
    squares = pair_squares(x, x if y is None else y, row, found.flatten()).view(len(x), k)
    return Neighbors(squares, found)


def nearest_both(x: Tensor, y: Tensor, k: int = 1) -> tuple[Neighbors, Neighbors]:
    """The k nearest rows of y to each row of x, and of x to each row of y, from one pass."""
    rows, columns = _Screen(x, y, k), _Screen(y, x, k)
    if x.shape[1] <= TREE_DIMS:
        return _tree(x, y, k), _tree(y, x, k)
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
            left_out = (self.squares[:, -1].double() - row_error(self.x, self.y)).clamp(min=0)
            for r in (found.squares[:, -1] > left_out).nonzero().flatten().tolist():
                all_squares = pair_squares(self.x[r : r + 1].expand(len(self.y), -1), self.y, *[every_row(self.y)] * 2)
                if self.within:
                    all_squares[r] = math.inf
                best = all_squares.topk(self.k, largest=False)
                found.squares[r], found.index[r] = best.values, best.indices
        return found


def every_row(y: Tensor) -> Tensor:
    """Indices of all rows."""
    return torch.arange(len(y), device=y.device)


def row_error(x: Tensor, y: Tensor) -> Tensor:
    """Bound on the screening error of each row of x against any row of y: (N,)."""
    center = center_of(x) if x is y else center_of(x, y)
    norms_x = squared_norms(x, center)
    norms_y = norms_x if x is y else squared_norms(y, center)
    return distance_error(norms_x, norms_y.max(), x.shape[1], x.dtype)
