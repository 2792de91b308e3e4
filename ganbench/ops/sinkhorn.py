"""Entropic optimal transport between two batches and the Sinkhorn divergence, differentiable without unrolling.

Source      Cuturi 2013 (NIPS); Genevay, Peyre & Cuturi 2018, arXiv:1706.00292 (the divergence and its debiasing);
            Feydy et al. 2019, arXiv:1810.08278, section 3 (symmetric updates, gradient by one last update).
Shapes      N, M rows, D dimensions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.ops.pairwise import squared_distances


def soft_min(cost: Tensor, potential: Tensor, epsilon: float | Tensor) -> Tensor:
    """-epsilon log mean_j exp((potential_j - cost_ij) / epsilon): (N, M), (M,) -> (N,)."""
    return epsilon * (math.log(cost.shape[1]) - torch.logsumexp((potential - cost) / epsilon, 1))


def annealing(start: Tensor, epsilon: float, steps: int) -> list[Tensor]:
    """A geometric descent from `start` to epsilon in half the steps, which then stays at epsilon."""
    down = max(steps // 2, 1)
    start = start.clamp(min=epsilon)
    return [start * (epsilon / start) ** min(k / down, 1.0) for k in range(steps)]


@torch.no_grad()
def potentials(cost: Tensor, epsilon: float, steps: int, start: Tensor) -> tuple[Tensor, Tensor]:
    """Dual potentials of OT_epsilon between uniform weights, by averaged updates of both: (N, M) -> (N,), (M,)."""
    f, g = cost.new_zeros(cost.shape[0]), cost.new_zeros(cost.shape[1])
    for e in annealing(start, epsilon, steps):
        f, g = (f + soft_min(cost, g, e)) / 2, (g + soft_min(cost.T, f, e)) / 2
    return f, g


@torch.no_grad()
def self_potential(cost: Tensor, epsilon: float, steps: int, start: Tensor) -> Tensor:
    """The one potential of a set against itself, where both are equal: (N, N) -> (N,)."""
    f = cost.new_zeros(len(cost))
    for e in annealing(start, epsilon, steps):
        f = (f + soft_min(cost, f, e)) / 2
    return f


def sinkhorn_divergence(x: Tensor, y: Tensor, epsilon: float, steps: int = 20) -> Tensor:
    """OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2 with cost |x - y|^2 and entropy epsilon: (N, D), (M, D) -> ().

    Differentiable in x. At the optimum the derivative of a potential's last update, with everything but x held, is
    that of the transport cost (envelope theorem), so nothing is unrolled. The entropy comes down from the largest cost.
    """
    cost_xy, cost_xx = squared_distances(x, y), squared_distances(x, x.detach())
    cost_yy = squared_distances(y, y)
    start = cost_xy.detach().max()
    f, g = potentials(cost_xy.detach(), epsilon, steps, start)
    f_x = self_potential(cost_xx.detach(), epsilon, steps, start)
    g_y = self_potential(cost_yy, epsilon, steps, start)
    on_x = soft_min(cost_xy, g, epsilon) - soft_min(cost_xx, f_x, epsilon)
    on_y = soft_min(cost_xy.detach().T, f, epsilon) - soft_min(cost_yy, g_y, epsilon)
    return on_x.mean() + on_y.mean()
