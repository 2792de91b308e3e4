"""Maxout networks: each unit is the largest of several linear pieces.

Source      Goodfellow et al. 2013, "Maxout Networks".
Shapes      B batch, F units, P pieces, *E event shape.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn


class Maxout(nn.Module):
    """(B, n_in) -> (B, F), the maximum over P pieces."""

    def __init__(self, n_in: int, n_out: int, n_pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_out * n_pieces)
        self.n_out, self.n_pieces = n_out, n_pieces

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x).view(len(x), self.n_out, self.n_pieces).amax(2)
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
