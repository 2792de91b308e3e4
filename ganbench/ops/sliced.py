"""Projections on directions, sorts, and the sliced Wasserstein distances that follow from them.

On a line the optimal plan is the sorted one, so each direction is solved exactly, for sets of any two sizes.
Projections are held as (directions, points), each direction contiguous, and a block of directions at a time: the block,
not the problem, sets the memory. On the CPU numpy sorts them, with vector instructions that torch does not use.

Source      Rabin et al. 2011 (SSVM); Bonneel et al. 2015; max-sliced: Deshpande et al. 2019, arXiv:1904.05877.
Shapes      N, M points, D dimensions, L directions.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ganbench.ops.pairwise import center_of, product, slices

BLOCK_ELEMENTS = 1 << 23  # projections held at once for each set: 32 MiB in float32
ROWS = 4096  # events that are centred and projected at once
GRID = 2.0**-26  # of the coordinates of a direction on the path of the worst one
LEAST_GAIN = 1e-12  # relative gain that counts as one: above the rounding of a mean over points


def random_directions(
    n: int,
    n_dims: int,
    rng: torch.Generator,
    kind: Literal["orthogonal", "gaussian"] = "orthogonal",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Unit vectors uniform on the sphere: -> (L, D) on the device of `rng`.

    "gaussian" draws them independently; "orthogonal" draws blocks of D mutually orthogonal ones (the last block may be
    smaller), each still uniform on its own: a translation is then measured exactly and the variance is never larger.
    """
    normal = torch.randn(n, n_dims, generator=rng, device=rng.device, dtype=torch.float64)
    if kind == "gaussian":
        normal /= normal.norm(dim=1, keepdim=True)
        return normal.to(dtype)
    return torch.cat([_orthonormal(normal[block]) for block in slices(n, n_dims)]).to(dtype)


def _orthonormal(rows: Tensor) -> Tensor:
    """Rows made orthonormal without preferring a direction: the signs of R are undone, so Q is Haar distributed."""
    q, r = torch.linalg.qr(rows.T)
    columns: Tensor = q * r.diagonal().sign()
    return columns.T


def sorted_projections(x: Tensor, directions: Tensor, center: Tensor, out: Tensor | None = None) -> Tensor:
    """Sorted values of x - center along each direction, in `out` if given: (N, D), (L, D), (D,) -> (L, N)."""
    out = x.new_empty(len(directions), len(x)) if out is None else out
    rows = x.new_empty(min(ROWS, len(x)), x.shape[1])
    for i in slices(len(x), ROWS):
        centred = torch.sub(x[i], center, out=rows[: i.stop - i.start])
        out[:, i] = product(directions, centred)
    return sort_rows_(out)


def sort_rows_(values: Tensor) -> Tensor:
    """Each row of a contiguous (L, N), sorted in place."""
    if values.device.type != "cpu":
        return values.copy_(values.sort(dim=1).values)
    array = values.numpy()
    threads = min(torch.get_num_threads(), len(array))
    if threads < 2:
        array.sort(axis=1)
        return values
    with ThreadPoolExecutor(threads) as pool:  # numpy lets go of the interpreter while it sorts
        list(pool.map(lambda part: part.sort(axis=1), np.array_split(array, threads)))
    return values


def ascending(values: Tensor) -> Tensor:
    """Each row of (L, N) sorted, differentiable: for losses. Equal values may pass each other."""
    if values.device.type != "cpu":
        return values.sort(1).values
    numbers = values.detach().to(torch.promote_types(values.dtype, torch.float32)).numpy()  # numpy has no bfloat16
    return values.gather(1, torch.from_numpy(numbers.argsort(axis=1)))


def merged_quantiles(n: int, m: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """The common refinement of two uniform quantile functions: indices (Q,), (Q,) and widths (Q,) in float64.

    On the q-th piece of (0, 1) the sorted sets of n and m points take their values i[q] and j[q]. Breakpoints are
    compared as integers, so pieces are exact; there are n + m - gcd(n, m) of them.
    """
    cuts = np.union1d(np.arange(n, dtype=np.int64) * m, np.arange(m, dtype=np.int64) * n)
    widths = np.diff(np.append(cuts, n * m)) / (n * m)
    i, j, w = (torch.from_numpy(a).to(device) for a in (cuts // m, cuts // n, widths))
    return i, j, w


def transport_on_lines(a: Tensor, b: Tensor, p: float = 2.0) -> Tensor:
    """W_p^p between the rows of sorted (L, N) and (L, M): -> (L,); no term is negative, so float32 sums are safe."""
    if a.shape[1] == b.shape[1]:
        return _power(a - b, p).mean(1)
    i, j, widths = merged_quantiles(a.shape[1], b.shape[1], a.device)
    return _power(a[:, i] - b[:, j], p) @ widths.to(a.dtype)


def _power(gap: Tensor, p: float) -> Tensor:
    return gap.abs() if p == 1 else gap.square() if p == 2 else gap.abs().pow(p)


def sliced_blocks(x: Tensor, y: Tensor, directions: Tensor, p: float = 2.0) -> Iterator[Tensor]:
    """W_p^p along each direction, block by block of directions; the blocks concatenate to (L,) in float64."""
    center = center_of(x, y)
    size = min(len(directions), max(1, BLOCK_ELEMENTS // max(len(x), len(y))))
    # One pair of buffers for all blocks: memory that is new to the process costs more than the arithmetic on it.
    a_buffer, b_buffer = x.new_empty(size, len(x)), y.new_empty(size, len(y))
    for block in slices(len(directions), size):
        count = block.stop - block.start
        a = sorted_projections(x, directions[block], center, a_buffer[:count])
        b = sorted_projections(y, directions[block], center, b_buffer[:count])
        if p == 2 and len(x) == len(y):
            gap = torch.sub(a, b, out=a)
            yield (torch.linalg.vecdot(gap, gap) / len(x)).double()
        else:
            yield transport_on_lines(a, b, p).double()


def sliced_wasserstein(x: Tensor, y: Tensor, directions: Tensor, p: float = 2.0) -> Tensor:
    """W_p^p along each direction, exact: (N, D), (M, D), (L, D) -> (L,) in float64; SW_p is its mean to the 1/p."""
    return torch.cat(list(sliced_blocks(x, y, directions, p)))


@dataclass(frozen=True)
class Potentials:
    """Kantorovich potentials of the costs along lines, summed over lines: how much each event weighs in their mean."""

    x: Tensor  # (N,) float64, up to a constant
    y: Tensor  # (M,)
    spread_x: float  # sum over lines of the variance over events
    spread_y: float
    lines: int

    def __add__(self, other: Potentials) -> Potentials:
        spread_x, spread_y = self.spread_x + other.spread_x, self.spread_y + other.spread_y
        return Potentials(self.x + other.x, self.y + other.y, spread_x, spread_y, self.lines + other.lines)

    def variance(self, n_lines: int) -> float:
        """Variance of the mean cost over `n_lines` lines when both sets are drawn anew, to first order.

        These lines may be some of those: the variance of a mean of n potentials is c + (v - c) / n for the variance v
        of one and the covariance c of two, and both are known from some.
        """
        return sum(self._of_set(s, v, n_lines) for s, v in ((self.x, self.spread_x), (self.y, self.spread_y)))

    def _of_set(self, total: Tensor, spread: float, n_lines: int) -> float:
        if len(total) < 2:
            return 0.0
        of_mean, of_one, k = float(total.var()) / self.lines**2, spread / self.lines, self.lines
        covariance = (of_mean - of_one / k) / (1 - 1 / k) if k > 1 else of_mean
        return max(covariance + (of_one - covariance) / n_lines, 0.0) / len(total)


def line_potentials(a: Tensor, b: Tensor, p: float = 2.0) -> tuple[Tensor, Tensor]:
    """Optimal potentials between the rows of sorted (L, N) and (L, M): -> (L, N), (L, M) float64, the first of each 0.

    The plan is a staircase, and a potential climbs by the difference of two costs at each of its steps. Where both
    sets step at once two solutions meet; their mean is one, too, and prefers neither set.
    """
    a, b = a.double(), b.double()
    i, j, _ = merged_quantiles(a.shape[1], b.shape[1], a.device)
    return _climb(a, b, i, j, p), _climb(b, a, j, i, p)


def _climb(a: Tensor, b: Tensor, i: Tensor, j: Tensor, p: float) -> Tensor:
    step = (i[1:] != i[:-1]).nonzero().flatten()  # the last piece of each point of a but the last
    rise = torch.zeros_like(a)
    for other in (b[:, j[step]], b[:, j[step + 1]]):
        rise[:, 1:] += (_power(a[:, 1:] - other, p) - _power(a[:, :-1] - other, p)) / 2
    return rise.cumsum(1)


def potentials(x: Tensor, y: Tensor, directions: Tensor, p: float = 2.0, rows: int = 1) -> Potentials:
    """Potentials of events along directions: (N rows, D), (M rows, D), (L, D); an event is `rows` rows in a row."""
    center = center_of(x, y)
    sums = [torch.zeros(len(s) // rows, dtype=torch.float64, device=x.device) for s in (x, y)]
    spreads = [0.0, 0.0]
    for block in slices(len(directions), max(1, BLOCK_ELEMENTS // (8 * max(len(x), len(y))))):  # float64, some copies
        sides = [_sorted_with_order(s, directions[block], center) for s in (x, y)]
        found = line_potentials(sides[0][0], sides[1][0], p)
        for k, (potential, (_, order)) in enumerate(zip(found, sides, strict=True)):
            events = potential.new_zeros(len(potential), len(sums[k]))
            events.scatter_add_(1, order // rows, potential / rows)
            events -= events.mean(1, keepdim=True)
            sums[k] += events.sum(0)
            spreads[k] += float(events.square().sum()) / max(events.shape[1] - 1, 1)
    return Potentials(sums[0], sums[1], spreads[0], spreads[1], len(directions))


def _sorted_with_order(x: Tensor, directions: Tensor, center: Tensor) -> tuple[Tensor, Tensor]:
    """Sorted values along each direction and the rows they belong to: (L, N), (L, N)."""
    values = torch.cat([product(directions, x[i] - center) for i in slices(len(x), ROWS)], 1)
    if x.device.type == "cpu":
        order = torch.from_numpy(values.numpy().argsort(axis=1))
        return values.gather(1, order), order
    found = values.sort(1)
    return found.values, found.indices


def sliced_wasserstein_loss(x: Tensor, y: Tensor, directions: Tensor, p: float = 2.0) -> Tensor:
    """SW_p^p of two batches over given directions, differentiable: (N, D), (M, D), (L, D) -> ()."""
    return transport_on_lines(ascending(directions @ x.T), ascending(directions @ y.T), p).mean()


def max_sliced_direction(x: Tensor, y: Tensor, start: Tensor, p: float = 2.0, steps: int = 100) -> tuple[Tensor, float]:
    """A direction that maximises W_p^p, by ascent on the sphere from `start` (L, D): -> (D,) and its value, in float64.

    Each start climbs along the tangent gradient with a step that grows on success and halves on failure, so the value
    never falls; the best is returned. The problem is not concave: the value is a lower bound of the true maximum.

    The path is the same on every processor: the function has kinks wherever two projections change places, so a path
    that carries its roundings along ends elsewhere. Directions therefore lie on a grid 10^8 times coarser than float64,
    which swallows the roundings of a step before the next one, and a gain within them is none.
    """
    center = center_of(x, y).double()
    x, y = x.double() - center, y.double() - center
    theta = _on_grid(start.double())
    step = theta.new_ones(len(theta), 1)
    value, gradient = _value_and_gradient(x, y, theta, p)
    for _ in range(steps):
        tangent = gradient - (gradient * theta).sum(1, keepdim=True) * theta
        length = tangent.norm(dim=1, keepdim=True)
        if not bool((length > 0).any()):
            break
        trial = _on_grid(theta + step * tangent / length.clamp(min=torch.finfo(theta.dtype).tiny))
        trial_value, trial_gradient = _value_and_gradient(x, y, trial, p)
        better = (trial_value > value * (1 + LEAST_GAIN))[:, None]
        theta, gradient = torch.where(better, trial, theta), torch.where(better, trial_gradient, gradient)
        value = torch.where(better[:, 0], trial_value, value)
        step = torch.where(better, step * 1.5, step * 0.5)
    best = int(value.argmax())
    return theta[best] / theta[best].norm(), float(value[best])


def _on_grid(theta: Tensor) -> Tensor:
    """Unit vectors (L, D) rounded to multiples of `GRID`; their length is then one to about `GRID`."""
    unit: Tensor = theta / theta.norm(dim=1, keepdim=True)
    return (unit / GRID).round() * GRID


def _value_and_gradient(x: Tensor, y: Tensor, theta: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """W_p^p along each direction and its gradient in the direction: (L,), (L, D)."""
    with torch.enable_grad():
        theta = theta.detach().requires_grad_()
        unit = theta / theta.norm(dim=1, keepdim=True)
        values = transport_on_lines(ascending(unit @ x.T), ascending(unit @ y.T), p)
        (gradient,) = torch.autograd.grad(values.sum(), theta)
    return values.detach(), gradient
