"""Which points lie in balls around which centres, in one tiled pass; every decision is that of float64 distances.

Shapes      N rows of x, M rows of y, D dimensions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.ops.neighbors import below, pair_squares, row_error
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
    """Relations of (N, D) and (M, D) for squared radii, float64: closed (N,) and (M,), open (N,).

    Tiles screen: pairs beyond all radii are left where they are, and those within their rounding bound of a radius are
    measured again. Where these are many, as in clusters tighter than the rounding of single precision, the tiles are
    formed anew in double. Scratch: a few tiles, and some ten where most pairs of one are within reach.
    """
    n, m = len(x), len(y)
    error = row_error(x, y)  # (N,)
    reach_x = torch.maximum(closed_x, open_x) + error
    reach_y = closed_y + error.max()
    reach_x, reach_y = (_above(reach, x.dtype) for reach in (reach_x, reach_y))
    y_covered, x_covered = (torch.zeros(size, dtype=torch.bool, device=x.device) for size in (m, n))
    held, holding = (torch.zeros(size, dtype=torch.long, device=x.device) for size in (n, m))
    for i, j, tile in tiles(x, y):
        near = below(tile, torch.maximum(reach_x[i, None], reach_y[j]), tile.numel())
        assert near is not None
        a = torch.div(near, tile.shape[1], rounding_mode="floor")
        b = near - a * tile.shape[1]
        ball_x, ball_y, open_ball, bound = closed_x[i][a], closed_y[j][b], open_x[i][a], error[i][a]
        squares = tile.view(-1)[near].double()
        doubt = torch.stack([squares - ball_x, squares - ball_y, squares - open_ball]).abs_().amin(0) <= bound
        again = doubt.nonzero().flatten()
        if len(again) > MUCH * tile.numel() and x.dtype == torch.float32:
            return balls(x.double(), y.double(), closed_x, closed_y, open_x)
        squares[again] = pair_squares(x, y, a[again] + i.start, b[again] + j.start)
        y_covered[j] |= torch.bincount(b[squares <= ball_x], minlength=tile.shape[1]) > 0
        x_covered[i] |= torch.bincount(a[squares <= ball_y], minlength=tile.shape[0]) > 0
        inside = squares < open_ball
        held[i] += torch.bincount(a[inside], minlength=tile.shape[0])
        holding[j] += torch.bincount(b[inside], minlength=tile.shape[1])
    return Balls(y_covered, x_covered, holding, held)


def _above(bound: Tensor, dtype: torch.dtype) -> Tensor:
    """The bound in another precision, rounded up."""
    return torch.nextafter(bound.to(dtype), bound.new_tensor(math.inf, dtype=dtype))
