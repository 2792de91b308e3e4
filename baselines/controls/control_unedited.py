"""An edit that changes nothing: every identity is kept, no attribute is turned.

Not a model: a control row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.model import Budget, Model, Split, register


@register(
    "control_unedited", family="control", gives=("edit",), needs=("cond",), conditions=("attributes",),
    events=("image",),
)  # fmt: skip
class Unedited(Model):
    """The picture as it is, whatever was asked for."""

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        """Nothing is learnt."""

    def edit(self, x: Tensor, attributes: Tensor, rng: torch.Generator) -> Tensor:
        return x.clone()
