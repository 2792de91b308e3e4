"""The last frame again and again: papers' usual baseline, which on sparse moving frames is worse than a blank.

Not a model: a control row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.model import Budget, Model, Split, register


@register("control_copy_last", family="control", gives=("predict",), events=("clip",))
class CopyLast(Model):
    """Nothing moves any more."""

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        return None

    def predict(self, frames: Tensor, k: int, rng: torch.Generator) -> Tensor:
        return frames[:, -1:].expand(-1, k, -1, -1, -1).clone()
