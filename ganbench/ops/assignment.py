"""Exact optimal transport between weighted point sets, always with a certificate of optimality from feasible duals.

The primal problem, min <P, C> over plans P >= 0 with row sums a and column sums b, has the dual max a.u + b.v over
potentials with u_i + v_j <= C_ij. A solver's plan is only a candidate. It costs sum_ij P_ij C_ij, and potentials whose
feasibility was checked on every entry of C show that no plan is cheaper by more than sum_ij P_ij (C_ij - u_i - v_j).
Both sums have no negative term, so nothing cancels in them, and the second must be below 1e-9 of the first.

Points on a line are sorted; `ops.simplex` does the rest.

Shapes      N, M points of the two measures, D dimensions, E entries of a plan that carry mass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ganbench.errors import BadInput
from ganbench.ops.costs import (
    LARGEST,
    MEMORY_LIMIT,
    Costs,
    Distances,
    Matrix,
    cost_matrix,
    lengths,
    needs_unit,
    power_mean,
    unit_of,
)
from ganbench.ops.simplex import WEIGHTS, NotOptimal, Plan, masses, network_simplex, transform

__all__ = [
    "MEMORY_LIMIT",
    "NotOptimal",
    "Solver",
    "Transport",
    "certify",
    "cost_matrix",
    "solve",
    "sort_line",
    "transport",
]

Solver = Literal["auto", "columns", "simplex", "lapjv", "sort"]

EXACT = 1e-9  # relative gap up to which a plan is called optimal
ROUNDING = 2.0**-50  # of C_ij - u_i - v_j, in units of the three


@dataclass(frozen=True)
class Transport:
    """A plan with its proof: `primal` is its cost, `dual` a lower bound of the cost of every plan.

    Costs and potentials are in units of (distance / unit)^p. `unit` is 1 unless distance^p leaves the range of float64;
    it is then a power of two, and unit * primal^(1/p) is the distance W_p.
    """

    rows: Tensor  # (E,) int64, on the CPU like all that follows
    cols: Tensor  # (E,) int64
    mass: Tensor  # (E,) float64
    u: Tensor  # (N,) potentials, u_i + v_j <= C_ij up to rounding
    v: Tensor  # (M,)
    primal: float
    dual: float
    solver: str
    unit: float = 1.0

    @property
    def gap(self) -> float:
        """How far the plan can be from optimal, in units of cost, rounding included."""
        return self.primal - self.dual


def transport(
    x: Tensor,
    y: Tensor,
    *,
    p: float = 1.0,
    a: Tensor | None = None,
    b: Tensor | None = None,
    solver: Solver = "auto",
    limit: float = MEMORY_LIMIT,
) -> Transport:
    """The optimal plan between sum_i a_i delta(x_i) and sum_j b_j delta(y_j) for the cost |x_i - y_j|^p.

    `x` (N, D), `y` (M, D); weights (N,), (M,) are uniform when absent. "auto" sorts in one dimension and generates
    columns otherwise; "simplex" is POT's dense network simplex, "lapjv" lapx's Jonker-Volgenant (N = M, uniform).
    Raises `BadInput` for p < 1 or p > 800, bad weights or a cost matrix above `limit` bytes; `NotOptimal` if the gap
    stays open.
    """
    x, y = x.double(), y.double()
    unit = unit_of(x, y, p)
    if x.shape[1] == 1 and solver in ("auto", "sort"):
        return sort_line(x.flatten(), y.flatten(), p=p, a=a, b=b)
    if solver == "sort":
        raise BadInput(f"solver='sort' needs points on a line; got {x.shape[1]} dimensions; use solver='auto'")
    named: Solver = "columns" if solver == "auto" else solver
    while True:
        best = _solve(_costs_of_points(x, y, p, limit, unit, named), a, b, named)
        paid = power_mean(lengths(x[best.rows.to(x.device)], y[best.cols.to(x.device)]).cpu(), best.mass, p)
        if not needs_unit(paid, unit, p):
            return replace(best, unit=unit)
        unit = unit_of(x, y, p, paid)


def solve(
    cost: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    solver: Solver = "columns",
    iterations: int = 10**9,
) -> Transport:
    """The optimal plan of a cost matrix (N, M) >= 0 for row sums `a` (N,) and column sums `b` (M,).

    `iterations` caps the pivots of solver="simplex". Raises `BadInput` for bad weights, negative or non-finite costs or
    a solver that does not fit, and `NotOptimal`, with the interval that holds the optimum, when the gap does not close.
    """
    return _solve(Matrix(_check_cost(cost)), a, b, solver, iterations)


def _costs_of_points(x: Tensor, y: Tensor, p: float, limit: float, unit: float, solver: Solver) -> Costs:
    """Costs of points as a solver takes them: in half the memory for the one that only looks for good pairs."""
    if solver == "columns":
        made = Distances(x, y, p, limit, unit)
        if made.in_range:
            return made
    return Matrix(_check_cost(cost_matrix(x, y, p, limit, unit)))


def _solve(cost: Costs, a: Tensor | None, b: Tensor | None, solver: Solver, iterations: int = 10**9) -> Transport:
    n, m = cost.shape
    a, b = check_weights(a, n, "a"), check_weights(b, m, "b")
    if solver == "lapjv":
        return certify(cost.whole(), _lapjv(cost.whole(), a, b), a, b, solver="lapjv")
    if solver not in ("columns", "simplex"):
        raise BadInput(f"solver must be 'columns', 'simplex' or 'lapjv' for a cost matrix; got {solver!r}")
    i, j = a.nonzero().flatten(), b.nonzero().flatten()  # a point without mass has no say
    whole = (len(i), len(j)) == (n, m)
    part = cost if whole else cost.part(i, j)
    (rows, cols, mass), u, v = network_simplex(part, a[i], b[j], dense=solver == "simplex", iterations=iterations)
    if not whole:
        full = cost.whole()
        rows, cols, u = i[rows], j[cols], transform(Matrix(full[:, j]), v)
        v = transform(Matrix(full.T), u)
    return _certified(cost, (rows, cols, mass), a, b, u, v, solver)


def certify(
    cost: Tensor,
    plan: Plan,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    potential: Tensor | None = None,
    solver: str = "given",
) -> Transport:
    """Prove that a plan (rows, cols, mass) is optimal for a cost matrix, or refuse it.

    The proof is a pair of potentials, built from `potential` (a guess of v (M,)) or else by solving the problem. A
    permutation s is the plan (arange(N), s, full(1/N)). Raises `NotOptimal` with [dual, cost of the plan] when the plan
    is not optimal, `BadInput` when it does not have the marginals a and b.
    """
    cost = _check_cost(cost)
    a, b = check_weights(a, len(cost), "a"), check_weights(b, cost.shape[1], "b")
    for named, index, size in zip(("rows", "cols"), plan[:2], cost.shape, strict=True):
        if index.shape != plan[2].shape or (len(index) and not (int(index.min()) >= 0 and int(index.max()) < size)):
            raise BadInput(f"the plan's {named} must be indices below {size}, one for each mass; check the plan")
    if potential is None:
        proof = solve(cost, a, b)
        return _certified(Matrix(cost), plan, a, b, proof.u, proof.v, solver)
    v = potential.double().cpu()
    return _certified(Matrix(cost), plan, a, b, transform(Matrix(cost), v), v, solver)


def check_weights(w: Tensor | None, n: int, argument: str) -> Tensor:
    """Weights (n,) in float64 on the CPU, uniform when absent. Raises `BadInput`."""
    if w is None:
        return torch.full((n,), 1 / n, dtype=torch.float64)
    w = w.double().cpu()
    if w.shape != (n,):
        raise BadInput(f"{argument} must hold one weight for each of {n} points; got shape {tuple(w.shape)}")
    if not bool(torch.isfinite(w).all()) or bool((w < 0).any()):
        row = int((~(w >= 0) | ~torch.isfinite(w)).nonzero()[0])
        raise BadInput(f"{argument} must be finite and not negative; weight {row} is {float(w[row])}")
    if abs(float(w.sum()) - 1) > 1e-6:
        raise BadInput(f"{argument} must sum to 1; got {float(w.sum()):.8g}; divide by the sum")
    return w / w.sum()


def _check_cost(cost: Tensor) -> Tensor:
    """The matrix in float64."""
    if cost.ndim != 2 or 0 in cost.shape:
        raise BadInput(f"cost must be a matrix with at least one row and column; got shape {tuple(cost.shape)}")
    low, high = cost.aminmax()
    if not bool(torch.isfinite(low) & torch.isfinite(high)):
        raise BadInput("cost must be finite; check the points for NaN, infinity or values whose powers overflow")
    if float(low) < 0:
        raise BadInput(f"costs must not be negative; got {float(low):.4g}; subtract the least cost from all of them")
    return cost.double()


def _check_sums(plan: Plan, a: Tensor, b: Tensor) -> float:
    """The mass by which a plan misses the weights beyond their rounding. Raises `BadInput` when it is no plan."""
    rows, cols, mass = (part.numpy() for part in plan)
    sums = np.concatenate([np.bincount(rows, mass, len(a)), np.bincount(cols, mass, len(b))])
    weights = torch.cat([a, b]).numpy()
    off = np.abs(sums - weights)
    if mass.min(initial=0.0) < 0 or not off.max() <= 1e-9:
        raise BadInput(
            f"the plan's row and column sums must be the weights a and b; they differ by up to {off.max():.2g}"
        )
    return 0.0 if (off <= 10 * WEIGHTS * weights).all() else float(off.sum())


def _judge(
    paid: Tensor, plan: Plan, u: Tensor, v: Tensor, solver: str, *, moved: float = 0.0, unit: float = 1.0
) -> Transport:
    """A plan that pays `paid` (E,) beside feasible potentials; raises when the gap is open.

    `moved` is what the mass that the plan lacks can change the optimum by.
    """
    rows, cols, mass = plan
    primal = math.fsum((paid * mass).tolist())
    pays, earns_u, earns_v = paid.numpy(), u[rows].numpy(), v[cols].numpy()
    size = pays + np.abs(earns_u) + np.abs(earns_v)
    gap = math.fsum(((np.abs(pays - earns_u - earns_v) + ROUNDING * size) * mass.numpy()).tolist()) + moved
    if primal > 0 and not gap <= EXACT * primal:
        interval = (max(primal - gap, 0.0), primal + moved)
        raise NotOptimal(f"the plan of solver {solver!r} is not optimal, its cost is {primal:.10g}", interval)
    return Transport(rows, cols, mass, u, v, primal, max(primal - gap, 0.0), solver, unit)


def _certified(cost: Costs, plan: Plan, a: Tensor, b: Tensor, u: Tensor, v: Tensor, solver: str) -> Transport:
    """The plan of a cost matrix beside feasible potentials."""
    plan = plan[0].cpu(), plan[1].cpu(), plan[2].double().cpu()
    moved = _check_sums(plan, a, b) * cost.largest
    return _judge(cost.of(*plan[:2]), plan, u, v, solver, moved=moved)


def _lapjv(cost: Tensor, a: Tensor, b: Tensor) -> Plan:
    """lapx's Jonker-Volgenant shortest augmenting paths, for uniform weights."""
    import lap

    n, m = cost.shape
    if n != m or bool((a != a[0]).any()) or bool((b != b[0]).any()):
        raise BadInput(f"solver='lapjv' needs equal sizes and uniform weights; got {n} x {m}; use solver='columns'")
    rows, cols = lap.lapjvs(cost.cpu().numpy(), return_cost=False, jvx_like=True, prefer_float32=False)
    return torch.as_tensor(rows).long(), torch.as_tensor(cols).long(), a


def sort_line(x: Tensor, y: Tensor, *, p: float = 1.0, a: Tensor | None = None, b: Tensor | None = None) -> Transport:
    """The optimal plan on a line, by sorting: (N,), (M,).

    The costs |x - y|^p, p >= 1, of sorted points form a Monge matrix, whose north-west corner rule is optimal. The
    potentials are tight on its staircase. Where a row and a column end together the step is diagonal, and v moves as
    little as the two corner cells allow: a far point that both sides share then leaves the others' potentials alone.
    """
    x, y = x.double().cpu(), y.double().cpu()
    unit = unit_of(x[:, None], y[:, None], p)
    a, b = check_weights(a, len(x), "a"), check_weights(b, len(y), "b")
    i, j = x.argsort(), y.argsort()
    i, j = i[a[i] > 0], j[b[j] > 0]  # a point without mass has no say
    r, c, mass = _staircase(a[i], b[j])
    paid = power_mean((x[i[r]] - y[j[c]]).abs(), mass, p)
    if needs_unit(paid, unit, p):
        unit = unit_of(x[:, None], y[:, None], p, paid)

    def cost(s: Tensor, t: Tensor) -> Tensor:
        return ((s - t) / unit).abs().pow(p).clamp_max(LARGEST)

    s, t = x[i[r]], y[j[c]]
    here = cost(s, t)
    down, right = r.diff() > 0, c.diff() > 0
    low, high = here[1:] - cost(s[1:], t[:-1]), cost(s[:-1], t[1:]) - here[:-1]  # of what v may rise by
    rise = torch.where(down, torch.zeros_like(low).clamp(low, high), here.diff()) * right
    u, v = torch.full_like(x, -math.inf), torch.full_like(y, -math.inf)
    u[i[r]] = _running_sum(torch.cat([here[:1] / 2, (here.diff() - rise) * down]))
    v[j[c]] = _running_sum(torch.cat([here[:1] / 2, rise]))
    for k in (a == 0).nonzero().flatten():
        u[k] = (cost(x[k], y) - v).amin()
    for k in (b == 0).nonzero().flatten():
        v[k] = (cost(x, y[k]) - u).amin()
    return _judge(here, (i[r], j[c], mass), u, v, "sort", unit=unit)


def _staircase(a: Tensor, b: Tensor) -> Plan:
    """The north-west corner rule: cells with mass, each a step down, right or both from the one before."""
    supply, demand = (torch.from_numpy(w) for w in masses(a, b))
    level, step = torch.cat([_running_sum(supply)[:-1], _running_sum(demand)[:-1]]).sort(stable=True)
    down = step < len(a) - 1
    zero = torch.zeros(1, dtype=torch.long)
    rows, cols = torch.cat([zero, down.cumsum(0)]), torch.cat([zero, (~down).cumsum(0)])
    total = supply.sum()
    mass = torch.diff(level, prepend=level.new_zeros(1), append=total[None]) / total
    keep = mass > WEIGHTS * torch.minimum(a[rows], b[cols])
    return rows[keep], cols[keep], mass[keep]


def _running_sum(values: Tensor) -> Tensor:
    """Cumulative sum (E,) that carries the rounding errors of its additions along."""
    total = torch.from_numpy(np.cumsum(values.numpy()))  # one addition after the other
    before = torch.cat([total.new_zeros(1), total[:-1]])
    added = total - before
    lost = (before - (total - added)) + (values - added)
    return total + lost.cumsum(0)
