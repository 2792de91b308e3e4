"""Exact Wasserstein distance between samples and reference, with its optimality gap and a standard error.

The standard error comes from the dual potentials: del Barrio and Loubes 2019 (arXiv:1705.01299), Theorem 4.1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.errors import BadInput
from ganbench.metrics.base import Score, check_sets, metric, signature
from ganbench.ops.assignment import Solver, transport
from ganbench.ops.costs import MEMORY_LIMIT


@metric("wasserstein", direction="min", degree=1, power=None, bounds=(0, None))
def wasserstein(
    samples: Tensor,
    reference: Tensor,
    *,
    rng: torch.Generator,
    p: float = 1.0,
    n: int | None = 2000,
    solver: Solver = "auto",
    limit: float = MEMORY_LIMIT,
    space: str = "x",
) -> Score:
    """W_p with the Euclidean ground distance between at most `n` events of each side, drawn by `rng`; `n=None`: all.

    (min over plans P of sum_ij P_ij |x_i - y_j|^p)^(1/p), exact: `extra` holds primal, dual and gap of W_p^p, in units
    of (distance / unit)^p, and the interval [dual, primal]^(1/p) that holds the value. `unit` is 1, or a power of two
    where distance^p leaves the range of float64. Two samples of one distribution are far
    apart in high dimension, so read it beside its floor, real against real at the same n.

    `se` = sqrt(Var(u)/n + Var(v)/m) / (p W^(p-1)), from the variances of the optimal potentials over the samples: the
    spread of the estimate around its own mean at this n. It does not hold the bias in n, and overstates the spread
    where both samples come from one distribution (the limit is then not normal).

    Raises `BadInput` for p < 1 or above 800, shapes that differ, non-finite rows or a cost matrix above `limit` bytes,
    `NotOptimal` with the interval where no plan is proved optimal to 1e-9 of its cost.
    """
    if n is not None and n < 1:
        raise BadInput(f"n must be at least 1, or None for all; got {n}")
    x, y = check_sets(samples=samples, reference=reference)
    x, y = _draw(x, n, rng), _draw(y, n, rng)
    plan = transport(x, y, p=p, solver=solver, limit=limit)
    value = plan.unit * plan.primal ** (1 / p)
    extra = {
        "primal": plan.primal,
        "dual": plan.dual,
        "gap": plan.gap,
        "unit": plan.unit,
        "bracket": [plan.unit * plan.dual ** (1 / p), value],
        "solver": plan.solver,
        "p": p,
        "m": len(y),
    }
    text = signature(f"w{p:g}", "euclidean", "exact", f"n={len(x)}", f"m={len(y)}", space, "f64")
    se = None
    if plan.primal > 0:  # potentials in units of the cost: their squares stay in range
        se = value / p * math.sqrt(_variance(plan.u / plan.primal) + _variance(plan.v / plan.primal))
    return Score("wasserstein", value, len(x), text, "min", se, extra=extra)


def _variance(potential: Tensor) -> float:
    """Variance of the mean of a potential over its sample."""
    return float(potential.var()) / len(potential) if len(potential) > 1 else 0.0


def _draw(x: Tensor, n: int | None, rng: torch.Generator) -> Tensor:
    """At most n rows without replacement."""
    if n is None or n >= len(x):
        return x
    return x[torch.randperm(len(x), generator=rng, device=rng.device)[:n].to(x.device)]
