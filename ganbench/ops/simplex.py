"""Optimal plans of a cost matrix by the network simplex, refined until the plan and its potentials agree.

The simplex computes with about ten digits of the largest cost it sees. Three steps turn them into ten digits of the
optimum, however far apart the two are:

* Refinement. Each run solves for the correction to the last potentials: its costs are the reduced costs
  C_ij - u_i - v_j, cut at what no optimal plan can pay, so that its digits go to what is still unknown.
* A cap. When the largest cost is far above the plan's, min(C, cap) takes its place. Potentials of the capped matrix are
  feasible for C, differ by at most the cap, and prove the same optimum unless the plan pays the cap somewhere.
* Whole masses. Uniform weights enter as whole numbers, which the pivots add and subtract without rounding.

Column generation: the simplex runs on a sparse set of pairs, all pairs are then priced with its potentials, and those
that violate u_i + v_j <= C_ij join the set, until none does. First potentials come from the same problem on a quarter
of the points.

Shapes      N, M points of the two measures, E entries of a plan that carry mass.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganbench.errors import GanbenchError
from ganbench.ops.costs import BLOCK, Costs, cut

CLOSED = 1e-10  # relative gap at which refinement ends: a tenth of what a certificate allows
SMALL = 320  # points a side below which the dense simplex is fastest
FIRST, MORE = 16, 16  # pairs per point in the first sparse problem; pairs added per violated row
PASSES = 60  # runs of the simplex for one cap; 3 to 10 are usual
CAPS = 60  # caps that are tried; one is usual, each next one is ten or more digits lower
WEIGHTS = 1e-11  # relative rounding of weights: a flow below this share of both its weights is none
FAR = 1e6  # largest cost over the plan's cost from which a cap is needed

Plan = tuple[Tensor, Tensor, Tensor]  # rows (E,), cols (E,) and mass (E,)
Solved = tuple[Plan, Tensor, Tensor]  # a plan and feasible potentials u (N,), v (M,)


class NotOptimal(GanbenchError):
    """A plan that is not optimal: its solver stopped early, or it was forged. The optimum lies in `interval`."""

    def __init__(self, message: str, interval: tuple[float, float]) -> None:
        super().__init__(f"{message}; the optimal cost lies in [{interval[0]:.10g}, {interval[1]:.10g}]")
        self.interval = interval


def network_simplex(cost: Costs, a: Tensor, b: Tensor, *, dense: bool = False, iterations: int = 10**9) -> Solved:
    """A plan of costs (N, M) >= 0 for positive weights a (N,), b (M,), with potentials; as close to optimal as it gets.

    `dense` puts all pairs before the simplex at once, for at most `iterations` pivots a run. Raises `NotOptimal` when
    they do not suffice.
    """
    dense = dense or min(cost.shape) <= SMALL
    largest = cost.largest
    room = 4.0 * max(cost.shape)  # a plan of equal masses pays at most N times its mean anywhere
    cap, best, best_gap = math.inf, None, math.inf
    for _ in range(CAPS):
        plan, u, v = solved = _capped(cost, a, b, cap, max(FAR, 2 * room), dense, iterations)
        paid = cost.of(*plan[:2])
        value, gap = float(paid @ plan[2]), float(slack(paid, plan, u, v) @ plan[2])
        if gap < best_gap:
            best, best_gap = solved, gap
        if value == 0 or gap <= CLOSED * value:
            return solved
        if min(cap, largest) <= 2 * room * value:
            if largest <= cap or float(paid.max()) < cap:
                break
            room *= 64  # the optimum itself has to pay that much
        cap = room * value
    return best or solved


def transform(cost: Costs, v: Tensor, cap: float = math.inf) -> Tensor:
    """The largest u with u_i + v_j <= min(C_ij, cap): (M,) -> (N,) on the CPU."""
    v = v.to(cost.device)
    starts = range(0, cost.shape[0], BLOCK)
    return torch.cat([cost.least(i, cost.below(slice(i, i + BLOCK), v, cap), v, cap) for i in starts]).cpu()


def slack(paid: Tensor, plan: Plan, u: Tensor, v: Tensor) -> Tensor:
    """C_ij - u_i - v_j on the pairs of a plan, which cost `paid`, (E,): what it pays above what potentials bound."""
    rows, cols, _ = plan
    return ((paid - u[rows]) - v[cols]).clamp_min(0)  # below zero only by rounding


def _capped(cost: Costs, a: Tensor, b: Tensor, cap: float, far: float, dense: bool, iterations: int = 10**9) -> Solved:
    """Refine a plan and potentials for min(C, cap) until they agree, or no pass helps, or the largest of these costs is
    `far` times the plan's."""
    n, m = cost.shape
    largest = min(cap, cost.largest)
    pairs: Tensor | None = None  # all of them
    plain = False  # twice as fast without first potentials, where costs span few digits
    if dense:
        u, v = torch.zeros_like(a), torch.zeros_like(b)
        whole = cost.whole()
        plain = largest <= 1e3 * float(a @ whole.amin(1))
    else:
        v = _guess(cost, a, b, cap, far)
        pairs, u = _first_pairs(cost, v, a, b, cap)
        costs = cost.of(pairs // m, pairs % m)
    best, best_gap, ceiling, idle = None, math.inf, math.inf, 0
    for _ in range(PASSES):
        cold = best is None and plain
        if cold:
            reduced = cut(whole, cap)
        elif pairs is None:
            reduced = ((cut(whole, cap) - u[:, None]) - v).clamp_max_(ceiling)
        else:
            reduced = ((cut(costs, cap) - u[pairs // m]) - v[pairs % m]).clamp_max_(ceiling)
        result = _run(reduced, pairs, a, b, iterations, cold)
        if result is None:
            break
        plan, du, dv = result
        u, v = u + du, v + dv
        middle = v.median()  # potentials are free up to a constant: a small one costs no digits
        u, v = u + middle, v - middle
        paid = cut(cost.of(*plan[:2]), cap)
        value = float(paid @ plan[2])
        feasible, more = _price(cost, u, v, CLOSED / 2 * value, cap, 0 if dense else MORE)
        gap = float((paid - feasible[plan[0]] - v[plan[1]]).clamp_min(0) @ plan[2])
        if largest > far * value:
            return plan, feasible, v
        idle = 0 if len(more) or gap < best_gap / 2 else idle + 1
        if gap < best_gap or best is None:
            best, best_gap = (plan, feasible, v), gap
        if gap <= CLOSED * value or idle == 3:
            break
        ceiling = 4 * max(n, m) * gap
        if pairs is not None and len(more):
            pairs, costs = torch.cat([pairs, more]), torch.cat([costs, cost.of(more // m, more % m)])
        else:
            u = feasible
    if best is None:
        u = transform(cost, v, cap)
        bounds = (max(float(a @ u + b @ v), 0.0), float(a @ (cost.whole() @ b)))  # a b^T is a plan, too
        raise NotOptimal(f"the network simplex stopped before the optimum, at {iterations} pivots", bounds)
    return best


def _run(cost: Tensor, pairs: Tensor | None, a: Tensor, b: Tensor, iterations: int, cold: bool) -> Solved | None:
    """POT's network simplex: a plan and potentials, or None if it stopped early.

    `cost` holds the costs of the pairs i * M + j, (E,), or of all, (N, M). Unless `cold` it starts at
    potentials of zero.
    """
    from ot.lp.emd_wrap import emd_c, emd_c_sparse

    n, m = len(a), len(b)
    low, high = cost.aminmax()
    unit = math.ldexp(0.5, math.frexp(max(-float(low), float(high)))[1])  # the simplex has absolute tolerances
    scaled = (cost / unit).numpy()
    supply, demand = masses(a, b)
    start = {} if cold else {"alpha_init": np.zeros(n), "beta_init": np.zeros(m)}
    if pairs is None:
        flows, _, u, v, code = emd_c(supply, demand, scaled, iterations, 1, **start)
        rows, cols = np.divmod(np.flatnonzero(flows), m)
        moved = flows[rows, cols]
    else:
        ends = ((pairs // m).numpy().astype(np.uint64), (pairs % m).numpy().astype(np.uint64))
        rows, cols, moved, _, u, v, code = emd_c_sparse(supply, demand, *ends, scaled, iterations, **start)
    if code != 1:
        return None
    mass = torch.from_numpy(moved / supply.sum())
    i, j = torch.from_numpy(rows.astype(np.int64)), torch.from_numpy(cols.astype(np.int64))
    keep = mass > WEIGHTS * torch.minimum(a[i], b[j])  # less is what rounded weights leave over
    return (i[keep], j[keep], mass[keep]), unit * torch.from_numpy(u), unit * torch.from_numpy(v)


def masses(a: Tensor, b: Tensor) -> tuple[NDArray[Any], NDArray[Any]]:
    """The weights as the simplex gets them: whole numbers when both are uniform."""
    supply, demand = a.numpy(), b.numpy()
    if supply.min() == supply.max() and demand.min() == demand.max():
        shared = math.gcd(len(a), len(b))
        return np.full(len(a), len(b) / shared), np.full(len(b), len(a) / shared)
    return supply, demand


def _guess(cost: Costs, a: Tensor, b: Tensor, cap: float, far: float) -> Tensor:
    """A first potential v (M,): that of a random quarter of the points, extended to all."""
    draw = np.random.default_rng(0)  # fixed: the optimum does not depend on it, only the time does
    i, j = (torch.from_numpy(np.sort(draw.permutation(size)[: -(-size // 4)])) for size in cost.shape)
    supply, demand = a[i] / a[i].sum(), b[j] / b[j].sum()
    inner = cost.part(i, j)
    _, u, _ = _capped(inner, supply, demand, cap, far, min(inner.shape) <= SMALL)
    v, zero = torch.full((cost.shape[1],), math.inf, dtype=torch.float64), torch.zeros(cost.shape[1], dtype=u.dtype)
    v, zero = v.to(cost.device), zero.to(cost.device)
    for rows, low in zip(i.to(cost.device).split(BLOCK), u.to(cost.device).split(BLOCK), strict=True):
        below = cost.below(rows, zero, cap)[:, : len(v)]
        torch.minimum(v, (below - low.to(below.dtype)[:, None]).amin(0).double(), out=v)
    return v.cpu()


def _first_pairs(cost: Costs, v: Tensor, a: Tensor, b: Tensor, cap: float) -> tuple[Tensor, Tensor]:
    """Pairs i * M + j of least reduced cost for every row and for columns that few rows chose, and a staircase that
    makes some plan possible."""
    n, m = cost.shape
    v = v.to(cost.device)
    u, found = [], []
    for i in range(0, n, BLOCK):
        least, j = cost.below(slice(i, i + BLOCK), v, cap).topk(min(FIRST, m), 1, largest=False)
        u.append(least[:, 0].double())
        found.append((torch.arange(i, i + len(j), device=j.device)[:, None] * m + j).flatten().cpu())
    lows = torch.cat(u)
    degree = torch.bincount(torch.cat(found) % m, minlength=m).to(cost.device)
    for lonely in (degree < FIRST // 2).nonzero().flatten().split(BLOCK):
        best = cost.below_columns(lonely, lows, cap).topk(min(FIRST, n), 1, largest=False).indices
        found.append((best * m + lonely[:, None]).flatten().cpu())
    down = torch.cat([a.cumsum(0)[:-1], b.cumsum(0)[:-1]]).argsort(stable=True) < n - 1
    zero = torch.zeros(1, dtype=torch.long)
    staircase = torch.cat([zero, down.cumsum(0)]) * m + torch.cat([zero, (~down).cumsum(0)])
    pairs = np.sort(torch.cat([*found, staircase]).numpy())  # np.unique hashes: ten times slower here
    return torch.from_numpy(pairs).unique_consecutive(), lows.cpu()


def _price(cost: Costs, u: Tensor, v: Tensor, tolerance: float, cap: float, more: int) -> tuple[Tensor, Tensor]:
    """The transform of v (N,), and for each row the `more` pairs that violate u_i + v_j <= min(C_ij, cap) most."""
    n, m = cost.shape
    u, v = u.to(cost.device), v.to(cost.device)
    best, found = [], [torch.zeros(0, dtype=torch.long)]
    for i in range(0, n, BLOCK):
        below = cost.below(slice(i, i + BLOCK), v, cap)
        best.append(cost.least(i, below, v, cap))
        row = (best[-1] < u[i : i + BLOCK] - tolerance).nonzero().flatten()
        if len(row) and more:
            j = below[row].topk(min(more, m), 1, largest=False).indices.flatten()
            r = (row + i).repeat_interleave(len(j) // len(row))
            reduced = cut(cost.of(r, j).to(v.device), cap) - v[j]
            found.append((r * m + j)[reduced < u[r] - tolerance].cpu())
    return torch.cat(best).cpu(), torch.cat(found)
