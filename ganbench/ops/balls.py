"""Which points lie in balls around which centres, in one tiled pass; every decision is that of float64 distances.

Shapes      N rows of x, M rows of y, D dimensions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.ops.neighbors import every_row, pair_squares, row_error
from ganbench.ops.pairwise import tiles

MUCH = 0.01  # share of decisions left to direct distances above which doubles are cheaper


@dataclass(frozen=True)
class Balls:
    """How rows y lie in balls around rows x, and x around y; closed balls hold their boundary, open ones do not."""

    y_covered: Tensor  # (M,) bool: in the closed ball of some x
    x_covered: Tensor  # (N,) bool: in the closed ball of some y
    holding: Tensor  # (M,) open balls of x that hold each y
    held: Tensor  # (N,) rows y that the open ball of each x holds


def balls(x: Tensor, y: Tensor, closed_x: Tensor, closed_y: Tensor, open_x: Tensor) -> Balls:
    """Relations of (N, D) and (M, D) for squared radii, float64: closed (N,) and (M,), open (N,). Scratch: three tiles.

    Tiles screen; whatever lies within their rounding bound of a radius is measured again. Where that is much, as in
    clusters tighter than the rounding of single precision, the tiles are formed anew in double.
    """
    n, m = len(x), len(y)
    error = row_error(x, y)  # (N,)
    low, high = ((open_x + sign * error).to(x.dtype)[:, None] for sign in (-1, 1))
    radius_x, radius_y = closed_x.to(x.dtype)[:, None], closed_y.to(x.dtype)
    margin_x, margin_y = x.new_full((n,), math.inf), x.new_full((m,), math.inf)  # squared distance less radius, least
    held, holding = (torch.zeros(size, dtype=torch.float64, device=x.device) for size in (n, m))
    scratch = torch.empty(0)
    for i, j, tile in tiles(x, y):
        scratch = torch.empty_like(tile) if scratch.shape != tile.shape else scratch
        torch.sub(tile, radius_x[i], out=scratch)
        margin_y[j] = torch.minimum(margin_y[j], scratch.amin(0))
        torch.sub(tile, radius_y[j], out=scratch)
        margin_x[i] = torch.minimum(margin_x[i], scratch.amin(1))
        possible = torch.le(tile, high[i], out=scratch).sum(1)
        certain = torch.lt(tile, low[i], out=scratch).sum(1)
        held[i] += certain
        holding[j] += scratch.sum(0)
        rows = (possible > certain).nonzero().flatten()
        near = tile[rows]
        a, b = ((near >= low[i][rows]) & (near <= high[i][rows])).nonzero().unbind(1)
        if len(a) > MUCH * tile.numel() and x.dtype == torch.float32:
            return balls(x.double(), y.double(), closed_x, closed_y, open_x)
        a, b = rows[a] + i.start, b + j.start
        inside = pair_squares(x, y, a, b) < open_x[a]
        held.index_add_(0, a, inside.double())
        holding.index_add_(0, b, inside.double())
    slack = float(error.max())
    doubtful = int((margin_y.abs() <= slack).sum() + (margin_x.abs() <= slack).sum())
    if doubtful > MUCH * (n + m) and x.dtype == torch.float32:
        return balls(x.double(), y.double(), closed_x, closed_y, open_x)
    return Balls(
        _decide(margin_y, slack, centres=x, points=y, closed=closed_x),
        _decide(margin_x, slack, centres=y, points=x, closed=closed_y),
        holding.long(),
        held.long(),
    )


def _decide(margin: Tensor, slack: float, centres: Tensor, points: Tensor, closed: Tensor) -> Tensor:
    """Which points some closed ball holds, from their margins; doubtful ones from float64 distances to all centres."""
    covered = margin < 0
    for r in (margin.abs() <= slack).nonzero().flatten().tolist():
        squares = pair_squares(centres, points[r : r + 1].expand(len(centres), -1), *[every_row(centres)] * 2)
        covered[r] = bool((squares <= closed).any())
    return covered
