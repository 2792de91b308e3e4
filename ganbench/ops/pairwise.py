"""All pairs of two sets of rows, tile by tile, in bounded memory.

A tile is one matrix product: squared distances come out of it directly because each row is extended by its norm,
[-2x, |x|^2, 1] . [y, 1, |y|^2] = |x - y|^2, and inner products likewise. Rows are centred first, which distances do not
notice and rounding does: what is left cancels at the scale of the spread of the data, not of its offset. Products are
formed in the dtype of the input (float32 stays float32, float64 stays float64); `distance_error` bounds the cost.

Shapes      N, M rows, D dimensions, A, B rows and columns of a tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

Form = Literal["distance", "product"]
Part = tuple[int, int]  # (k, K): every K-th block of rows from the k-th, one of K shares of the work
ALL: Part = (0, 1)
RESIDENT_ELEMENTS = 1 << 24  # sets up to this size are centred once instead of tile by tile


def slices(n: int, size: int, part: Part = ALL) -> Iterator[slice]:
    """Consecutive slices of at most `size` that cover range(n), or one share of them."""
    for start in range(part[0] * size, n, part[1] * size):
        yield slice(start, min(start + size, n))


def tile_size(x: Tensor) -> int:
    """Rows of a tile: large enough for matrix products at full rate, small enough to stay in the cache."""
    return 1008 if x.device.type == "cpu" else 8192  # powers of two would make columns collide in the cache


def center_of(*sets: Tensor) -> Tensor:
    """Mean row (D,) of all sets together, summed in float64 and returned in their dtype."""
    rows = sum(len(x) for x in sets)
    total = torch.stack([sum_rows(x) for x in sets]).sum(0)
    return (total / max(rows, 1)).to(sets[0].dtype)


def sum_rows(x: Tensor) -> Tensor:
    """Sum over rows in float64 without a float64 copy of the set: (N, D) -> (D,)."""
    total = torch.zeros(x.shape[1], dtype=torch.float64, device=x.device)
    for i in slices(len(x), 1024):
        total += x[i].double().sum(0)
    return total


def squared_norms(x: Tensor, center: Tensor) -> Tensor:
    """|x - center|^2 of each row, in float64: (N, D), (D,) -> (N,)."""
    out = torch.empty(len(x), dtype=torch.float64, device=x.device)
    for i in slices(len(x), 1024):
        out[i] = (x[i] - center).double().square().sum(1)
    return out


def inner_shifts(x: Tensor, center: Tensor) -> Tensor:
    """What centring takes from inner products, shared out to rows: x.center - |center|^2 / 2, in float64 (N,)."""
    half = center.double().square().sum() / 2
    return torch.cat([x[i].double() @ center.double() - half for i in slices(len(x), 1024)])


def distance_error(norms_x: Tensor, norms_y: Tensor, n_dims: int, dtype: torch.dtype) -> Tensor:
    """Bound on the rounding error of a squared distance from a matrix product, for |x|^2 and |y|^2 (broadcast).

    An inner product of d terms errs by at most min(d, 8 sqrt(d)) units in the last place of |x||y|: the first is the
    deterministic bound, the second the probabilistic one of Higham and Mary (2019, SIAM J. Sci. Comput. 41), which
    fails with probability below 1e-13. Six more units pay for the norms, their additions and a comparison.
    """
    unit = torch.finfo(dtype).eps / 2
    terms = min(float(n_dims), 8 * n_dims**0.5) + 6
    bound: Tensor = (terms * unit) * (norms_x + norms_y)
    return bound


def product(a: Tensor, b: Tensor) -> Tensor:
    """a b^T of two matrices (A, D), (B, D) -> (A, B), in plain float32 or float64 arithmetic; without gradients.

    On a CPU float32 goes through oneDNN, which uses the widest vectors of any: the library behind `torch.mm` runs at
    half its rate on some.
    """
    if a.device.type == "cpu" and a.dtype == torch.float32 and torch.backends.mkldnn.is_available():
        out: Tensor = torch.ops.mkldnn._linear_pointwise(a.detach(), b.detach(), None, "none", [], "")
        return out
    return a @ b.T


class _Rows:
    """Blocks of centred rows extended to D + 2 columns; small sets are loaded once, large ones block by block."""

    def __init__(self, x: Tensor, center: Tensor, offsets: Tensor, scale: float, column: int, size: int) -> None:
        self.x, self.center, self.offsets, self.scale = x, center, offsets.to(x.dtype), scale
        self.d = x.shape[1]
        self.column = self.d + column
        self.resident = x.numel() <= RESIDENT_ELEMENTS
        self.buffer = x.new_ones(len(x) if self.resident else min(size, len(x)), self.d + 2)
        if self.resident:
            self._load(slice(0, len(x)))

    def __getitem__(self, i: slice) -> Tensor:
        return self.buffer[i] if self.resident else self._load(i)

    def _load(self, i: slice) -> Tensor:
        block = self.buffer[: i.stop - i.start]
        torch.sub(self.x[i], self.center, out=block[:, : self.d])
        if self.scale != 1:
            block[:, : self.d] *= self.scale
        block[:, self.column] = self.offsets[i]
        return block


def tiles(
    x: Tensor, y: Tensor | None = None, *, form: Form = "distance", size: int | None = None, part: Part = ALL
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yields (rows, columns, tile (A, B)) of squared distances or inner products of x (N, D) and y (M, D).

    Without `y`, only the tiles on and above the diagonal of x against itself. A tile is the caller's to overwrite; the
    tiles of all shares of the work are bit for bit those of the whole.
    Rounding may leave squared distances slightly below zero. Scratch: a few tiles and two blocks of `size` rows, or
    copies of sets below `RESIDENT_ELEMENTS`.
    """
    size = size or tile_size(x)
    x, other = x.detach(), (x if y is None else y).detach()
    center = center_of(x) if y is None else center_of(x, other)
    offsets = squared_norms if form == "distance" else inner_shifts
    offsets_x = offsets(x, center)
    left = _Rows(x, center, offsets_x, -2.0 if form == "distance" else 1.0, 0, size)
    right = _Rows(other, center, offsets_x if y is None else offsets(other, center), 1.0, 1, size)
    for i in slices(len(x), size, part):
        rows = left[i]
        for j in slices(len(other), size):
            if y is None and j.start < i.start:
                continue
            yield i, j, product(rows, right[j])


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Dense squared distances for losses: (N, D), (M, D) -> (N, M), differentiable and never negative."""
    center = torch.cat([x, y]).mean(0).detach()  # the distance does not depend on it, so neither does the gradient
    x, y = x - center, y - center
    square = x.square().sum(1)[:, None] + y.square().sum(1)[None] - 2 * x @ y.T
    return square.clamp(min=0)


def precision_name(x: Tensor) -> str:
    """The dtype that tiles are formed in, as signatures write it: f32 or f64."""
    return f"f{torch.finfo(x.dtype).bits}"
