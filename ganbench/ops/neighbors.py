"""Nearest neighbours, exactly, from tiles of distances that are measured again where it matters.

Tiles (matrix products, mostly float32) only screen: whatever lies within their rounding bound of a decision is measured
again, directly and in float64, so results are those of exact distances, duplicates and ties included.

Shapes      N, M rows, D dimensions, K neighbours, P pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ganbench.ops.pairwise import center_of, distance_error, slices, squared_norms, tiles

SLACK = 2  # screened candidates kept beyond the K asked for
AROUND = 4  # times the distance to its neighbours: how far around a doubtful row others are searched with it
MANY = 8  # one over the share of a tile above which its best are found by selection
WAITING = 32  # candidates a row, on average, that wait to be sorted in
TREE_DIMS = 8  # up to here a k-d tree is exact, faster, and does not mind tight clusters that rounding cannot screen


@dataclass(frozen=True)
class Neighbors:
    """The K nearest rows of each row, nearest first."""

    squares: Tensor  # (N, K) squared distances, float64
    index: Tensor  # (N, K)


def pair_squares(x: Tensor, y: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """|x_i - y_j|^2 of given pairs, directly in float64: (N, D), (M, D), (P,), (P,) -> (P,)."""
    out = torch.empty(len(i), dtype=torch.float64, device=x.device)
    size = max(1, (1 << 17) // x.shape[1])
    of_x, of_y, gap = (x.new_empty(size, x.shape[1], dtype=t) for t in (x.dtype, y.dtype, torch.float64))
    for part in slices(len(i), size):
        rows = slice(0, part.stop - part.start)
        gap[rows] = torch.index_select(x, 0, i[part], out=of_x[rows])
        gap[rows] -= torch.index_select(y, 0, j[part], out=of_y[rows])
        out[part] = torch.linalg.vecdot(gap[rows], gap[rows])
    return out


def below(tile: Tensor, bound: Tensor, most: int) -> Tensor | None:
    """Where a contiguous tile is below what broadcasts to it, as flat indices; None where it is so more than `most`
    times. On a CPU numpy compares: it has vector instructions for it, and counts before it lists."""
    if tile.device.type != "cpu":
        found = (tile < bound).view(-1).nonzero().flatten()
        return found if len(found) <= most else None
    mask = tile.numpy() < bound.numpy()
    return torch.from_numpy(np.flatnonzero(mask)) if np.count_nonzero(mask) <= most else None


def nearest(x: Tensor, y: Tensor | None = None, k: int = 1) -> Neighbors:
    """The k nearest rows of y (M, D) to each row of x (N, D); without y, of x itself, never the row itself.

    Raises `ValueError` when there are fewer than k rows to choose from.
    """
    rows = _Screen(x, x if y is None else y, k, within=y is None)
    if x.shape[1] <= TREE_DIMS:
        return _tree(x, y, k)
    for i, j, tile in tiles(x, y):
        if y is None and i == j:
            tile.fill_diagonal_(math.inf)
        rows.update(i, j, tile)
        if y is None and i != j:
            rows.update(j, i, tile, turned=True)
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
        columns.update(j, i, tile, turned=True)
    return rows.exact(), columns.exact()


class _Screen:
    """Running nearest candidates of each row by screened distance.

    Once a row has some, only what is nearer than the last of them is picked out of a tile; it waits until there is
    enough of it to be sorted in. The bounds, which are then some tiles old, let through a few more than they need to.
    """

    def __init__(self, x: Tensor, y: Tensor, k: int, within: bool = False, may_divide: bool = True) -> None:
        self.x, self.y, self.k, self.within, self.may_divide = x, y, k, within, may_divide
        self.others = len(y) - within
        if k > self.others:
            raise ValueError(f"{k} neighbours need as many other rows; got {self.others}")
        width = min(k + SLACK, self.others)
        self.squares = x.new_full((len(x), width), math.inf)
        self.index = torch.zeros(len(x), width, dtype=torch.long, device=x.device)
        self.bound = self.squares[:, -1].clone()
        self.waiting: list[tuple[Tensor, Tensor, Tensor]] = []  # rows, squares, index of candidates
        self.n_waiting = 0

    def update(self, i: slice, j: slice, tile: Tensor, turned: bool = False) -> None:
        """Take in the distances of rows i to columns j; the tile is (rows, columns), or `turned`."""
        bound = self.bound[i]
        near = below(tile, bound if turned else bound[:, None], tile.numel() // MANY)
        if near is None:
            return self._replace(i, j, tile.T.contiguous() if turned else tile)
        first = torch.div(near, tile.shape[1], rounding_mode="floor")
        second = near - first * tile.shape[1]
        row, column = (second, first) if turned else (first, second)
        self.waiting.append((row + i.start, tile.view(-1)[near], column + j.start))
        self.n_waiting += len(near)
        if self.n_waiting > WAITING * len(self.x):
            self._sort_in()
        return None

    def _replace(self, i: slice, j: slice, tile: Tensor) -> None:
        """The best of what rows i have and of a whole tile."""
        near = tile.topk(min(self.squares.shape[1], tile.shape[1]), dim=1, largest=False, sorted=False)
        self._keep_best(i, near.values, near.indices + j.start)

    def _keep_best(self, i: slice, squares: Tensor, index: Tensor) -> None:
        best = torch.cat([self.squares[i], squares], 1).topk(self.squares.shape[1], dim=1, largest=False)
        self.squares[i] = best.values
        self.index[i] = torch.cat([self.index[i], index], 1).gather(1, best.indices)
        self.bound[i] = best.values[:, -1]

    def _sort_in(self) -> None:
        """The best of what all rows have and of what waits."""
        if not self.waiting:
            return
        row, squares, index = (torch.cat(v) for v in zip(*self.waiting, strict=True))
        self.waiting, self.n_waiting = [], 0
        order = _order(squares)
        order = order[_order(row[order], len(self.x))]
        row, squares, index = row[order], squares[order], index[order]
        count = torch.bincount(row, minlength=len(self.x))
        rank = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
        keep = rank < self.squares.shape[1]
        new_squares, new_index = torch.full_like(self.squares, math.inf), torch.zeros_like(self.index)
        new_squares[row[keep], rank[keep]] = squares[keep]
        new_index[row[keep], rank[keep]] = index[keep]
        self._keep_best(slice(0, len(self.x)), new_squares, new_index)

    def exact(self) -> Neighbors:
        """The neighbours by float64 distance; rows whose screen cannot rule out a better one are searched in full."""
        self._sort_in()
        n, width = self.index.shape
        row = torch.arange(n, device=self.x.device).repeat_interleave(width)
        squares = pair_squares(self.x, self.y, row, self.index.flatten()).view(n, width)
        order = squares.argsort(dim=1, stable=True)[:, : self.k]
        found = Neighbors(squares.gather(1, order), self.index.gather(1, order))
        if width < self.others:
            left_out = (self.squares[:, -1].double() - row_error(self.x, self.y)).clamp(min=0)
            doubtful = (found.squares[:, -1] > left_out).nonzero().flatten()
            (self._locally if self.may_divide else self._directly)(doubtful, found)
        return found

    def _locally(self, doubtful: Tensor, found: Neighbors) -> None:
        """Search again near one doubtful row after another, for all that lie around it, in coordinates around it.

        Rows of a tight cluster are closer than the rounding of coordinates around the mean of all, but not of
        coordinates around one of them. What is nearer to a row than its best candidate, at r, lies within r + R of a
        pivot at distance R, so rows of small r + R need few columns; each pivot takes one row at least, itself.
        """
        around_x = _Around(self.x, center := center_of(self.x, self.y))
        around_y = around_x if self.within else _Around(self.y, center)
        open_ = torch.zeros(len(self.x), dtype=torch.bool, device=self.x.device)
        open_[doubtful] = True
        reach = found.squares[:, -1].sqrt()
        for first in doubtful.tolist():
            if not open_[first]:
                continue
            pivot = self.x[first].double()
            rows, apart = around_x.within(pivot, AROUND * float(reach[first]))
            keep = open_[rows] & ((apart + reach[rows] <= AROUND * reach[first]) | (rows == first))
            rows, apart = rows[keep], apart[keep]
            bound = float((apart + reach[rows]).max()) * (1 + 1e-9)
            columns, _ = around_y.within(pivot, bound)
            open_[rows] = False
            x, y = self.x[rows].double() - pivot, self.y[columns].double() - pivot
            screen = _Screen(x, y, self.k + self.within, may_divide=False)
            for i, j, tile in tiles(x, y):
                screen.update(i, j, tile)
            best = screen.exact()
            index, squares = columns[best.index], best.squares
            if self.within:  # the row itself is at distance zero, though not always first where rows repeat
                others = index != rows[:, None]
                others[:, -1] &= ~others.all(1)
                index, squares = (v[others].view(len(rows), self.k) for v in (index, squares))
            found.squares[rows], found.index[rows] = squares, index

    def _directly(self, doubtful: Tensor, found: Neighbors) -> None:
        """Search all of y for each row, in float64."""
        for r in doubtful.tolist():
            all_squares = pair_squares(self.x[r : r + 1].expand(len(self.y), -1), self.y, *[every_row(self.y)] * 2)
            if self.within:
                all_squares[r] = math.inf
            best = all_squares.topk(self.k, largest=False)
            found.squares[r], found.index[r] = best.values, best.indices


class _Around:
    """Rows within a distance of a point: screened by one product, then measured."""

    def __init__(self, x: Tensor, center: Tensor) -> None:
        self.x, self.center, self.centred, self.norms = x, center.double(), x - center, squared_norms(x, center)
        self.most = self.norms.max()

    def within(self, point: Tensor, radius: float) -> tuple[Tensor, Tensor]:
        """Indices and distances of the rows at most `radius` from a point (D,) in float64."""
        moved = point - self.center
        norm = moved.square().sum()
        squares = self.norms + norm - 2 * (self.centred @ moved.to(self.x.dtype)).double()
        error = distance_error(norm, self.most, len(point), self.x.dtype)
        possible = (squares <= radius**2 + error).nonzero().flatten()
        here = torch.zeros(len(possible), dtype=torch.long, device=point.device)
        apart = pair_squares(point[None], self.x, here, possible).sqrt()
        return possible[apart <= radius], apart[apart <= radius]


def _order(values: Tensor, below: int | None = None) -> Tensor:
    """The order of values; of whole numbers `below` a bound, one that leaves equal ones as they are."""
    if values.device.type != "cpu":
        return values.argsort(stable=below is not None)
    array = values.numpy()
    if below is not None:  # numpy sorts by radix where they fit into two bytes
        return torch.from_numpy(array.astype(np.min_scalar_type(below)).argsort(kind="stable"))
    return torch.from_numpy(array.argsort())


def every_row(y: Tensor) -> Tensor:
    """Indices of all rows."""
    return torch.arange(len(y), device=y.device)


def row_error(x: Tensor, y: Tensor) -> Tensor:
    """Bound on the screening error of each row of x against any row of y: (N,)."""
    center = center_of(x) if x is y else center_of(x, y)
    norms_x = squared_norms(x, center)
    norms_y = norms_x if x is y else squared_norms(y, center)
    return distance_error(norms_x, norms_y.max(), x.shape[1], x.dtype)
