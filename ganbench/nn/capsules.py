"""Capsules: vectors whose length says that a thing is there and whose direction says how, routed by agreement.

Source      Sabour et al. 2017, "Dynamic Routing Between Capsules" (arXiv:1710.09829), equations 1 to 3 and section 4.
Shapes      B batch, I capsules below, J capsules above, D, E their sizes, *E event shape (C, H, W).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ganbench.data import DataSpec
from ganbench.errors import NotApplicable

D_PRIMARY = 8  # numbers in a capsule of the lower layer, as in the paper


def squash(s: Tensor, eps: float = 1e-8) -> Tensor:
    """Shortens vectors of the last axis to lengths below 1, equation 1; `eps` keeps the gradient at 0 finite."""
    square = s.square().sum(-1, keepdim=True)
    return square / (1 + square) * s / (square + eps).sqrt()


def lengths(v: Tensor) -> Tensor:
    """Lengths of the last axis, with a gradient at 0 too: (..., E) -> (...)."""
    return (v.square().sum(-1) + 1e-12).sqrt()


class Routing(nn.Module):
    """Capsules that predict those above them, and agree on them in `iterations` steps: (B, I, D) -> (B, J, E)."""

    def __init__(self, n_in: int, d_in: int, n_out: int, d_out: int, iterations: int) -> None:
        super().__init__()
        self.iterations = iterations
        self.weight = nn.Parameter(0.1 * torch.randn(n_in, n_out, d_in, d_out))

    def forward(self, u: Tensor) -> Tensor:
        votes = torch.einsum("bid,ijde->bije", u, self.weight)  # (B, I, J, E), the u_hat of the paper
        return routed(votes, self.iterations)


def routed(votes: Tensor, iterations: int) -> Tensor:
    """Procedure 1: a mean of votes that weighs those that agree with it, squashed: (B, I, J, E) -> (B, J, E)."""
    logits = votes.new_zeros(votes.shape[:3])
    for step in range(iterations):
        v = squash((logits.softmax(2)[..., None] * votes).sum(1))
        if step + 1 < iterations:
            logits = logits + (votes * v[:, None]).sum(3)
    return v


class Primary(nn.Module):
    """Two convolutions, the second of stride 2 into capsules: (B, C, H, W) -> (B, I, 8).

    9x9 kernels as in the paper; below 16 pixels a side 3x3. Raises `NotApplicable` for what is no image of 6 or more.
    """

    def __init__(self, spec: DataSpec, width: int, types: int) -> None:
        super().__init__()
        if not spec.is_image or min(spec.event_shape[1:]) < 6:
            raise NotApplicable(
                f"capsules look at images of 6 or more pixels a side; {spec.name} has {spec.event_shape}"
            )
        channels, *sides = spec.event_shape
        kernel = 9 if min(sides) >= 19 else 3
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, kernel), nn.ReLU(), nn.Conv2d(width, types * D_PRIMARY, kernel, stride=2)
        )
        rows, columns = ((side - kernel + 1 - kernel) // 2 + 1 for side in sides)
        self.n_capsules = types * rows * columns

    def forward(self, x: Tensor) -> Tensor:
        u = self.body(x).unflatten(1, (-1, D_PRIMARY)).movedim(2, -1)  # (B, types, H', W', 8)
        return squash(u.flatten(1, 3))


class CapsuleDiscriminator(nn.Module):
    """One capsule that says whether an event is real, by its length v: (B, *E) -> (B,) logits of v^2."""

    def __init__(self, spec: DataSpec, width: int) -> None:
        super().__init__()
        self.primary = Primary(spec, width, 4)
        self.routing = Routing(self.primary.n_capsules, D_PRIMARY, 2, 16, 3)  # two of 16 numbers: real, and what is not
        self.n_features = 2 * 16

    def features(self, x: Tensor) -> Tensor:
        """Both capsules: (B, *E) -> (B, 32)."""
        out: Tensor = self.routing(self.primary(x))
        return out.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        square = self.features(x)[:, : self.n_features // 2].square().sum(1).clamp(1e-6, 1 - 1e-6)
        return square.logit()


def equal_cnn(spec: DataSpec, width: int, n_classes: int, wanted: int) -> nn.Sequential:
    """Two convolutions with pooling and two dense layers, the first as wide as brings it to `wanted` parameters."""
    channels, *sides = spec.event_shape
    body = nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    )  # fmt: skip
    seen = width * math.prod(side // 4 for side in sides)
    left = wanted - sum(p.numel() for p in body.parameters()) - n_classes
    dense = max(1, round(left / (seen + 1 + n_classes)))
    return nn.Sequential(*body, nn.Linear(seen, dense), nn.ReLU(), nn.Linear(dense, n_classes))
