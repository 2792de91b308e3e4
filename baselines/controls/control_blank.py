"""A blank future: the floor that a predictor of sparse frames must beat before it has seen anything.

Not a model: a control row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.model import Budget, Model, Split, register


@register("control_blank", family="control", gives=("predict",), events=("clip",))
class Blank(Model):
    """The darkest value everywhere."""

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        return None

    def predict(self, frames: Tensor, k: int, rng: torch.Generator) -> Tensor:
        return torch.full_like(frames[:, :1], -1).expand(-1, k, -1, -1, -1).clone()
