"""Maxout networks: each unit is the largest of several linear pieces.

Source      Goodfellow et al. 2013, "Maxout Networks".
Shapes      B batch, F units, P pieces, *E event shape.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class _Largest(torch.autograd.Function):
    """(B, P, F) -> (B, F). The gradient goes to every largest piece; torch's own takes ten times as long."""

    @staticmethod
    def forward(ctx: Any, pieces: Tensor) -> Tensor:
        out = pieces.amax(1)
        ctx.save_for_backward(pieces, out)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        pieces, out = (saved.detach() for saved in ctx.saved_tensors)
        chosen = torch.eq(pieces, out.unsqueeze(1), out=torch.empty_like(pieces))  # 1 or 0
        return chosen.mul_(gradient.unsqueeze(1))


class Maxout(nn.Module):
    """(B, n_in) -> (B, F), the maximum over P pieces; piece p of unit f is row p F + f of the weights."""

    def __init__(self, n_in: int, n_out: int, n_pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_out * n_pieces)
        self.n_out, self.n_pieces = n_out, n_pieces

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = _Largest.apply(self.linear(x).view(len(x), self.n_pieces, self.n_out))
        return out


class MaxoutDiscriminator(nn.Module):
    """Maxout layers and a linear head: (B, *E) -> (B,) logits."""

    def __init__(self, event_shape: tuple[int, ...], hidden: Sequence[int], n_pieces: int = 5) -> None:
        super().__init__()
        widths = [math.prod(event_shape), *hidden]
        layers = [Maxout(a, b, n_pieces) for a, b in itertools.pairwise(widths)]
        self.body = nn.Sequential(*layers)
        self.n_features = widths[-1]
        self.head = nn.Linear(self.n_features, 1)

    def features(self, x: Tensor) -> Tensor:
        """Last hidden layer: (B, *E) -> (B, F)."""
        out: Tensor = self.body(x.flatten(1))
        return out

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.features(x))
        return out.squeeze(1)
