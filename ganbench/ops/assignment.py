"""Exact optimal transport between weighted point sets, always with a certificate of optimality from feasible duals.

min <plan, C> over plans with row sums a and column sums b equals max a.u + b.v over potentials with u_i + v_j <= C_ij.
Whatever a solver returns is a candidate: its cost is recomputed in float64 and compared with a dual value whose
feasibility was checked against every entry of C.

Shapes      N, M points of the two measures, D dimensions, E entries of a plan that carry mass.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ganbench.errors import BadInput, GanbenchError

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Solver = Literal["auto", "sort", "simplex", "lapjv"]

GAP = 1e-9  # relative gap above which a result is not called exact


class NotOptimal(GanbenchError):
    """A solver stopped before the optimum, or a forged plan: the value lies in [dual, primal]."""

    def __init__(self, message: str, interval: tuple[float, float]) -> None:
        super().__init__(f"{message}; the optimum lies in [{interval[0]:.10g}, {interval[1]:.10g}]")
        self.interval = interval


@dataclass(frozen=True)
class Transport:
    """A plan with its proof: `primal` is its cost, `dual` a lower bound of every plan's cost."""

    rows: Index  # (E,)
    cols: Index  # (E,)
    mass: Array  # (E,)
    u: Array  # (N,) potentials with u_i + v_j <= C_ij
    v: Array  # (M,)
    primal: float
    dual: float
    solver: str

    @property
    def gap(self) -> float:
        """primal - dual, at most `GAP` times the cost's scale."""
        return self.primal - self.dual


def cost_matrix(x: Array, y: Array, p: float = 1.0, limit: float = 4e9) -> Array:
    """|x_i - y_j|^p for all pairs, float64, built in row blocks: (N, D), (M, D) -> (N, M).

    Raises `BadInput` when it would take more than `limit` bytes.
    """
    n, m = len(x), len(y)
    if 8.0 * n * m > limit:
        raise BadInput(
            f"the {n} x {m} cost matrix would take {8e-9 * n * m:.1f} GB, above the limit of {limit / 1e9:.1f} GB; "
            "use fewer points, or raise limit"
        )
    from scipy.spatial.distance import cdist

    cost = np.empty((n, m))
    for i in range(0, n, 512):
        block = cdist(x[i : i + 512], y)
        cost[i : i + 512] = block if p == 1 else block**p
    return cost


def solve(cost: Array, a: Array | None = None, b: Array | None = None) -> Transport:
    """The optimal plan of a cost matrix (N, M) with row sums `a` and column sums `b` (uniform when absent).

    Raises `BadInput` for bad weights or a non-finite cost, `NotOptimal` when the gap does not close.
    """
    import ot

    n, m = cost.shape
    a, b = _weights(a, n, "a"), _weights(b, m, "b")
    if not np.isfinite(cost).all():
        raise BadInput("cost must be finite")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan, log = ot.emd(a, b, cost, numItermax=10**9, log=True)
    if log["result_code"] != 1:
        raise NotOptimal(f"the network simplex stopped early: {log['warning']}", (-np.inf, float(log["cost"])))
    rows, cols = np.nonzero(plan)
    return certify(cost, (rows, cols, plan[rows, cols]), a, b, u=log["u"], solver="simplex")


def certify(
    cost: Array,
    plan: tuple[Index, Index, Array],
    a: Array,
    b: Array,
    *,
    u: Array,
    solver: str = "given",
) -> Transport:
    """Check a plan against duals made feasible from `u`; raises `NotOptimal` when it is not optimal."""
    rows, cols, mass = plan
    scale = 1e-9
    if (
        np.abs(np.bincount(rows, mass, len(a)) - a).max() > scale
        or np.abs(np.bincount(cols, mass, len(b)) - b).max() > scale
    ):
        raise BadInput("the plan's marginals differ from the weights")
    v = (cost - u[:, None]).min(0)
    u = (cost - v).min(1)
    primal = float(np.dot(cost[rows, cols], mass))
    dual = float(a @ u + b @ v)
    if primal - dual > GAP * max(primal, abs(dual)):
        raise NotOptimal("the plan is not optimal", (dual, primal))
    return Transport(rows, cols, mass, u, v, primal, dual, solver)


def _weights(w: Array | None, n: int, name: str) -> Array:
    if w is None:
        return np.full(n, 1 / n)
    if w.shape != (n,) or not np.isfinite(w).all() or (w < 0).any() or abs(w.sum() - 1) > 1e-6:
        raise BadInput(f"{name} must be {n} non-negative weights that sum to 1")
    return w / w.sum()
