"""Capsules: vectors whose length says that a thing is there and whose direction says how, routed by agreement.

Source      Sabour et al. 2017, "Dynamic Routing Between Capsules" (arXiv:1710.09829), equations 1 to 4.
Shapes      B batch, I capsules below, J capsules above, D, E their sizes, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def squash(s: Tensor, eps: float = 1e-8) -> Tensor:
    """Shortens vectors of the last axis to lengths below 1, equation 1; `eps` keeps the gradient at 0 finite."""
    square = s.square().sum(-1, keepdim=True)
    return square / (1 + square) * s / (square + eps).sqrt()


class Routing(nn.Module):
    """Capsules that predict those above them, and agree on them in `iterations` steps: (B, I, D) -> (B, J, E)."""

    def __init__(self, n_in: int, d_in: int, n_out: int, d_out: int, iterations: int) -> None:
        super().__init__()
        self.iterations = iterations
        self.weight = nn.Parameter(0.1 * torch.randn(n_in, n_out, d_in, d_out))

    def forward(self, u: Tensor) -> Tensor:
        votes = torch.einsum("bid,ijde->bije", u, self.weight)  # (B, I, J, E), the u_hat of the paper
        logits = votes.new_zeros(votes.shape[:3])
        for step in range(self.iterations):
            v = squash((logits.softmax(2)[..., None] * votes).sum(1))  # (B, J, E)
            if step + 1 < self.iterations:
                logits = logits + (votes * v[:, None]).sum(3)
        return v


def margin_loss(lengths: Tensor, y: Tensor) -> Tensor:
    """Equation 4, summed over classes, meaned over the batch: (B, K), (B,) -> ()."""
    there = nn.functional.one_hot(y, lengths.shape[1]).to(lengths)
    missed, extra = (0.9 - lengths).clamp_min(0).square(), (lengths - 0.1).clamp_min(0).square()
    return (there * missed + 0.5 * (1 - there) * extra).sum(1).mean()


def routed_lengths(v: Tensor) -> Tensor:
    """How sure each class is there: (B, K, E) -> (B, K)."""
    return (v.square().sum(2) + 1e-12).sqrt()
