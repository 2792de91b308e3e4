"""Exact optimal transport between weighted point sets, always with a certificate of optimality from feasible duals.

The primal problem, min <P, C> over plans P >= 0 with row sums a and column sums b, has the dual max a.u + b.v over
potentials with u_i + v_j <= C_ij. A solver's plan is only a candidate: its cost is recomputed in float64 and set
against a dual value whose feasibility was checked on every entry of C, so `primal - dual` bounds its error.

The default solver generates columns: the network simplex runs on a sparse set of pairs, all pairs are then priced with
its potentials, and those that violate u_i + v_j <= C_ij join the set, until none does. First potentials come from the
same problem on a quarter of the points, and each simplex run starts from the last. Pricing is the certificate.

Shapes      N, M points of the two measures, D dimensions, E entries of a plan that carry mass.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganbench.errors import BadInput, GanbenchError

Solver = Literal["auto", "columns", "simplex", "lapjv", "sort"]

MEMORY_LIMIT = 4e9  # bytes a cost matrix may take unless the caller says otherwise
EXACT = 1e-9  # relative gap up to which a plan is called optimal
SMALL = 320  # points a side below which the dense simplex is fastest
BLOCK = 256  # rows of C that are priced at a time: a few MB, so that they stay in cache
FIRST, MORE = 16, 16  # pairs per point in the first sparse problem; pairs added per violated row
PASSES = 60  # of pricing, before the dense simplex takes over; 3 to 10 are usual


Solved = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]  # rows, cols and mass of a plan, and feasible potentials u, v


class NotOptimal(GanbenchError):
    """A plan that is not optimal: its solver stopped early, or it was forged. The optimum lies in `interval`."""

    def __init__(self, message: str, interval: tuple[float, float]) -> None:
        super().__init__(f"{message}; the optimal cost lies in [{interval[0]:.10g}, {interval[1]:.10g}]")
        self.interval = interval


@dataclass(frozen=True)
class Transport:
    """A plan with its proof: `primal` is its cost, `dual` a lower bound of the cost of every plan."""

    rows: Tensor  # (E,) int64, on the CPU like all that follows
    cols: Tensor  # (E,) int64
    mass: Tensor  # (E,) float64
    u: Tensor  # (N,) potentials, u_i + v_j <= C_ij
    v: Tensor  # (M,)
    primal: float
    dual: float
    solver: str

    @property
    def gap(self) -> float:
        """How far the plan can be from optimal, in units of cost; rounding may leave it slightly negative."""
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
    Raises `BadInput` for p < 1, bad weights or a cost matrix above `limit` bytes; `NotOptimal` if the gap stays open.
    """
    if not p >= 1:
        raise BadInput(f"p must be at least 1; got {p}")
    if x.shape[1] == 1 and solver in ("auto", "sort"):
        return sort_line(x.flatten(), y.flatten(), p=p, a=a, b=b)
    if solver == "sort":
        raise BadInput(f"solver='sort' needs points on a line; got {x.shape[1]} dimensions; use solver='auto'")
    return solve(cost_matrix(x, y, p, limit), a, b, solver="columns" if solver == "auto" else solver)


def cost_matrix(x: Tensor, y: Tensor, p: float = 1.0, limit: float = MEMORY_LIMIT) -> Tensor:
    """|x_i - y_j|^p in float64, built in row blocks: (N, D), (M, D) -> (N, M) on their device.

    Above 16 dimensions squares come from a matrix product of centred points; pairs closer than a hundredth of their
    norms are measured again directly, so that no entry loses more than about 1e-11 of itself.
    Raises `BadInput` before anything is allocated when the matrix would take more than `limit` bytes.
    """
    n, m, d = len(x), len(y), x.shape[1]
    if 8.0 * n * m > limit:
        most = int(math.sqrt(limit / 8))
        raise BadInput(
            f"the cost matrix of {n} x {m} points would take {8e-9 * n * m:.2f} GB, above the limit of "
            f"{limit / 1e9:.2f} GB; draw at most {most} points a side, raise the limit, or use sliced_wasserstein"
        )
    x, y = x.double(), y.double()
    centre = y.mean(0)
    x, y = x - centre, y - centre
    cost = x.new_empty(n, m)
    x_norm, y_norm = x.square().sum(1), y.square().sum(1)
    for i in range(0, n, BLOCK):
        rows, block = x[i : i + BLOCK], cost[i : i + BLOCK]
        if d <= 16:
            block.copy_(torch.cdist(rows, y, compute_mode="donot_use_mm_for_euclid_dist"))
            if p != 1:
                block.pow_(p)
            continue
        norms = x_norm[i : i + BLOCK, None] + y_norm
        torch.addmm(norms, rows, y.T, alpha=-2, out=block)
        if float(block.amin()) < 1e-4 * float(norms.amax()):
            near = (block < 1e-4 * norms).nonzero()
            for r, c in (part.unbind(1) for part in near.split(1 << 16)):
                block[r, c] = (rows[r] - y[c]).square().sum(1)
        if p == 1:
            block.sqrt_()
        elif p != 2:
            block.pow_(p / 2)
    return cost


def solve(
    cost: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    solver: Solver = "columns",
    iterations: int = 10**9,
) -> Transport:
    """The optimal plan of a cost matrix (N, M) for row sums `a` (N,) and column sums `b` (M,).

    `iterations` caps the pivots of solver="simplex". Raises `BadInput` for bad weights, non-finite costs or a solver
    that does not fit, and `NotOptimal`, with the interval that holds the optimum, when the gap does not close.
    """
    cost, scale = _check_cost(cost)
    a, b = check_weights(a, len(cost), "a"), check_weights(b, cost.shape[1], "b")
    if solver == "lapjv":
        return certify(cost, _lapjv(cost, a, b), a, b, solver="lapjv")
    i, j = a.nonzero().flatten(), b.nonzero().flatten()  # a point without mass has no say
    whole = (len(i), len(j)) == cost.shape
    part = cost if whole else cost[i.to(cost.device)][:, j.to(cost.device)]
    if solver == "columns":
        rows, cols, mass, u, v = _columns(part, a[i], b[j], scale)
    elif solver == "simplex":
        rows, cols, mass, u, v = _simplex(part, a[i], b[j], iterations)
    else:
        raise BadInput(f"solver must be 'columns', 'simplex' or 'lapjv' for a cost matrix; got {solver!r}")
    if not whole:
        rows, cols, u = i[rows], j[cols], _transform(cost[:, j.to(cost.device)], v)
        v = _transform(cost.T, u)
    return _judge(cost, scale, (rows, cols, mass), a, b, u, v, solver)


def certify(
    cost: Tensor,
    plan: tuple[Tensor, Tensor, Tensor],
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
    cost, scale = _check_cost(cost)
    a, b = check_weights(a, len(cost), "a"), check_weights(b, cost.shape[1], "b")
    v = solve(cost, a, b).v if potential is None else potential.double().cpu()
    return _judge(cost, scale, plan, a, b, _transform(cost, v), v, solver)


def sort_line(x: Tensor, y: Tensor, *, p: float = 1.0, a: Tensor | None = None, b: Tensor | None = None) -> Transport:
    """The optimal plan on a line, by sorting: (N,), (M,).

    The costs |x - y|^p, p >= 1, of sorted points form a Monge matrix, whose north-west corner rule is optimal; the
    potentials that are tight along its staircase are feasible everywhere.
    """
    x, y = x.double().cpu(), y.double().cpu()
    a, b = check_weights(a, len(x), "a"), check_weights(b, len(y), "b")
    i, j = x.argsort(), y.argsort()
    ends = torch.cat([a[i].cumsum(0)[:-1], b[j].cumsum(0)[:-1]])  # where the staircase steps down or right
    level, step = ends.sort(stable=True)
    down = step < len(x) - 1
    zero = torch.zeros(1, dtype=torch.long)
    r, c = torch.cat([zero, down.cumsum(0)]), torch.cat([zero, (~down).cumsum(0)])
    mass = torch.diff(level, prepend=level.new_zeros(1), append=level.new_ones(1)).clamp_min(0)
    paid = (x[i[r]] - y[j[c]]).abs().pow(p)
    rise = paid.diff()
    u, v = torch.empty_like(x), torch.empty_like(y)
    u[i] = torch.cat([paid.new_zeros(1), rise[down].cumsum(0)])
    v[j] = torch.cat([paid[:1], paid[0] + rise[~down].cumsum(0)])
    keep = mass > 0
    primal, dual = float(paid @ mass), float(a @ u + b @ v)
    return Transport(i[r[keep]], j[c[keep]], mass[keep], u, v, primal, dual, "sort")


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


def _check_cost(cost: Tensor) -> tuple[Tensor, float]:
    """The matrix in float64 and its largest magnitude."""
    if cost.ndim != 2 or 0 in cost.shape:
        raise BadInput(f"cost must be a matrix with at least one row and column; got shape {tuple(cost.shape)}")
    low, high = cost.aminmax()
    if not bool(torch.isfinite(low) & torch.isfinite(high)):
        raise BadInput("cost must be finite; check the points for NaN, infinity or values whose powers overflow")
    return cost.double(), max(abs(float(low)), abs(float(high)))


def _transform(cost: Tensor, v: Tensor) -> Tensor:
    """The largest u with u_i + v_j <= C_ij: (N, M), (M,) -> (N,) on the CPU."""
    v, u = v.to(cost.device), cost.new_empty(len(cost))
    for i in range(0, len(cost), BLOCK):
        torch.amin(cost[i : i + BLOCK] - v, 1, out=u[i : i + BLOCK])
    return u.cpu()


def _judge(
    cost: Tensor,
    scale: float,
    plan: tuple[Tensor, Tensor, Tensor],
    a: Tensor,
    b: Tensor,
    u: Tensor,
    v: Tensor,
    solver: str,
) -> Transport:
    """A plan beside feasible potentials; raises when its marginals are wrong or its gap is open."""
    rows, cols, mass = (t.cpu() for t in plan)
    mass = mass.double()
    off_a = (torch.zeros_like(a).index_add_(0, rows, mass) - a).abs().max()
    off_b = (torch.zeros_like(b).index_add_(0, cols, mass) - b).abs().max()
    off = float(torch.maximum(off_a, off_b))
    if bool((mass < 0).any()) or off > 1e-9:
        raise BadInput(f"the plan's row and column sums must be the weights a and b; they differ by up to {off:.2g}")
    primal = float(cost[rows.to(cost.device), cols.to(cost.device)].cpu() @ mass)
    dual = float(a @ u + b @ v)
    if primal - dual > EXACT * primal + 1e-12 * scale:
        raise NotOptimal(f"the plan of solver {solver!r} is not optimal, its cost is {primal:.10g}", (dual, primal))
    return Transport(rows, cols, mass, u, v, primal, dual, solver)


def _simplex(cost: Tensor, a: Tensor, b: Tensor, iterations: int = 10**9) -> Solved:
    """POT's dense network simplex."""
    import ot

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what POT only warns of shows as an open gap
        plan, log = ot.emd(a.numpy(), b.numpy(), cost.cpu().contiguous().numpy(), numItermax=iterations, log=True)
    rows, cols = np.nonzero(plan)
    mass, v = torch.from_numpy(plan[rows, cols]), torch.from_numpy(log["v"])
    u = _transform(cost, v)
    if log["result_code"] != 1:  # the plan may then lack mass, but a b^T never does
        bounds = (float(a @ u + b @ v), float(a @ (cost.cpu() @ b)))
        raise NotOptimal(f"the network simplex stopped before the optimum, at {iterations} pivots", bounds)
    return torch.from_numpy(rows), torch.from_numpy(cols), mass, u, v


def _lapjv(cost: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """lapx's Jonker-Volgenant shortest augmenting paths, for uniform weights."""
    import lap

    n, m = cost.shape
    if n != m or bool((a != a[0]).any()) or bool((b != b[0]).any()):
        raise BadInput(f"solver='lapjv' needs equal sizes and uniform weights; got {n} x {m}; use solver='columns'")
    rows, cols = lap.lapjvs(cost.cpu().numpy(), return_cost=False, jvx_like=True, prefer_float32=False)
    return torch.as_tensor(rows).long(), torch.as_tensor(cols).long(), a


def _columns(cost: Tensor, a: Tensor, b: Tensor, scale: float) -> Solved:
    """Column generation; the potentials prove the plan."""
    if min(cost.shape) <= SMALL:
        return _simplex(cost, a, b)
    v = _guess(cost, a, b, scale)
    pairs, u = _first_pairs(cost, v, a, b)
    tolerance = 1e-13 * scale
    for _ in range(PASSES):
        rows, cols, mass, paid, u, v = _sparse_simplex(cost, pairs, a, b, u, v)
        feasible, more = _price(cost, u, v, tolerance)
        if paid - float(a @ feasible + b @ v) <= EXACT / 10 * paid + tolerance:
            return rows, cols, mass, feasible, v
        if not len(more):
            break
        pairs = torch.cat([pairs, more])  # all new: pairs already there have no negative reduced cost
    return _simplex(cost, a, b)


def _guess(cost: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
    """A first potential v (M,): that of a random quarter of the points, extended to all."""
    draw = np.random.default_rng(0)  # fixed: the optimum does not depend on it, only the time does
    i, j = (torch.from_numpy(np.sort(draw.permutation(size)[: -(-size // 4)])) for size in cost.shape)
    part = cost[i.to(cost.device)]
    inner = part[:, j.to(cost.device)]
    u = _columns(inner, a[i] / a[i].sum(), b[j] / b[j].sum(), scale)[3]
    return (part - u.to(cost.device)[:, None]).amin(0).cpu()


def _first_pairs(cost: Tensor, v: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs i * M + j of least reduced cost for every row and for columns that few rows chose, and a staircase that
    makes some plan possible."""
    n, m = cost.shape
    u = cost.new_empty(n)
    v = v.to(cost.device)
    found = []
    for i in range(0, n, BLOCK):
        least, j = (cost[i : i + BLOCK] - v).topk(min(FIRST, m), 1, largest=False)
        u[i : i + BLOCK] = least[:, 0]
        found.append((torch.arange(i, i + len(j), device=j.device)[:, None] * m + j).flatten().cpu())
    degree = torch.bincount(torch.cat(found) % m, minlength=m).to(cost.device)
    for lonely in (degree < FIRST // 2).nonzero().flatten().split(BLOCK):
        best = (cost[:, lonely].T - u).topk(min(FIRST, n), 1, largest=False).indices
        found.append((best * m + lonely[:, None]).flatten().cpu())
    down = torch.cat([a.cumsum(0)[:-1], b.cumsum(0)[:-1]]).argsort(stable=True) < n - 1
    zero = torch.zeros(1, dtype=torch.long)
    staircase = torch.cat([zero, down.cumsum(0)]) * m + torch.cat([zero, (~down).cumsum(0)])
    return torch.from_numpy(np.unique(torch.cat([*found, staircase]).numpy())), u.cpu()


def _sparse_simplex(
    cost: Tensor, pairs: Tensor, a: Tensor, b: Tensor, u: Tensor, v: Tensor
) -> tuple[Tensor, Tensor, Tensor, float, Tensor, Tensor]:
    """POT's network simplex over some pairs only, started from potentials: rows, cols, mass, cost, u, v."""
    from ot.lp.emd_wrap import emd_c_sparse

    m = cost.shape[1]
    i, j = pairs // m, pairs % m
    paid = cost.flatten()[pairs.to(cost.device)].cpu()

    def index(t: Tensor) -> NDArray[Any]:
        return t.numpy().astype(np.uint64)

    sums, start = (a.numpy(), b.numpy()), {"alpha_init": u.numpy(), "beta_init": v.numpy()}
    rows, cols, mass, value, u_, v_, code = emd_c_sparse(*sums, index(i), index(j), paid.numpy(), 10**9, **start)
    if code != 1:
        raise NotOptimal(f"the sparse network simplex returned code {code}", (-math.inf, math.inf))
    i, j = (torch.from_numpy(t.astype(np.int64)) for t in (rows, cols))
    return i, j, torch.from_numpy(mass), float(value), torch.from_numpy(u_), torch.from_numpy(v_)


def _price(cost: Tensor, u: Tensor, v: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    """The transform of v (N,), and for each row the `MORE` pairs that violate u_i + v_j <= C_ij most."""
    n, m = cost.shape
    u, v = u.to(cost.device), v.to(cost.device)
    best = cost.new_empty(n)
    scratch = cost.new_empty(min(BLOCK, n), m)
    found = [torch.zeros(0, dtype=torch.long)]
    for i in range(0, n, BLOCK):
        block = torch.sub(cost[i : i + BLOCK], v, out=scratch[: min(BLOCK, n - i)])
        least = block.amin(1)
        best[i : i + BLOCK] = least
        row = (least < u[i : i + BLOCK] - tolerance).nonzero().flatten()
        if len(row):
            value, j = block[row].topk(min(MORE, m), 1, largest=False)
            violates = value < u[row + i, None] - tolerance
            found.append(((row + i)[:, None] * m + j)[violates].cpu())
    return best.cpu(), torch.cat(found)
