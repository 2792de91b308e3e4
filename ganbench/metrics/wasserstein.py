"""Exact Wasserstein distance between samples and reference, with its optimality gap and a standard error.

The standard error comes from the dual potentials: del Barrio and Loubes 2019 (arXiv:1705.01299), Theorem 4.1.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ganbench.errors import BadInput
from ganbench.metrics.base import Score, check_events, check_pair, metric, signature
from ganbench.ops.assignment import cost_matrix, solve


@metric("wasserstein", direction="min", needs=("samples", "reference", "space", "rng"))
def wasserstein(
    samples: Tensor,
    reference: Tensor,
    *,
    rng: torch.Generator,
    p: float = 1.0,
    n: int | None = 2000,
    space: str = "x",
) -> Score:
    """W_p with the Euclidean ground distance between at most `n` events of each side, drawn by `rng`.

    (min over plans of sum plan_ij |x_i - y_j|^p)^(1/p), exact: `extra` holds primal, dual and gap of W_p^p. Two samples of
    one distribution are far apart in high dimension (about 8.9 for N(0, I_64) at n = 1000), so read it beside its floor.
    `n=None` uses all. `se` is that of the estimate around its own mean at this n: the distance's bias is not in it.

    Raises `BadInput` for p < 1, shapes that differ, non-finite rows.
    """
    if p < 1:
        raise BadInput(f"p must be at least 1; got {p}")
    check_pair(samples, reference)
    x = _draw(check_events(samples, "samples"), n, rng)
    y = _draw(check_events(reference, "reference"), n, rng)
    plan = solve(cost_matrix(x, y, p))
    value = max(plan.primal, 0.0) ** (1 / p)
    variance = _variance(plan.u) + _variance(plan.v)
    slope = value ** (1 - p) / p if value > 0 else 0.0  # of t -> t^(1/p)
    extra = {"primal": plan.primal, "dual": plan.dual, "gap": plan.gap, "solver": plan.solver, "p": p, "m": len(y)}
    text = signature(f"w{p:g}", "euclidean", "exact", f"n={len(x)}", f"m={len(y)}", space, "f64")
    return Score("wasserstein", value, len(x), text, "min", slope * math.sqrt(variance), extra=extra)


def _variance(potential: np.ndarray) -> float:
    """Variance of the mean of a potential over its sample."""
    return float(potential.var(ddof=1)) / len(potential) if len(potential) > 1 else 0.0


def _draw(x: Tensor, n: int | None, rng: torch.Generator) -> np.ndarray:
    """At most n rows without replacement, as float64 on the CPU."""
    if n is not None and n < len(x):
        x = x[torch.randperm(len(x), generator=rng, device=rng.device)[:n].to(x.device)]
    return x.double().cpu().numpy()
