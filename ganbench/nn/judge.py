"""What discriminators and critics have in common: features below a head."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn


class Judge(Protocol):
    """A network with `features` (B, *E) -> (B, F), a `head`, and the width F as `n_features`."""

    n_features: int
    head: nn.Module

    def features(self, x: Tensor) -> Tensor: ...
