"""Completions that are not learnt: from the mean image, and from the nearest training image.

Not models: control rows. The nearest image by the known pixels is hard to beat where there are many of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.model import Budget, DataSpec, Model, Split, register

ROWS = 200  # events that are compared with all training ones at a time


class Completion(Model):
    """Keeps the training events."""

    held: Tensor

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.register_buffer("held", torch.zeros(0, *spec.event_shape))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        self.held = data.events().clone()


@register("control_fill_mean", family="control", gives=("inpaint",), events=("image",))
class MeanFill(Completion):
    """Unknown pixels from the mean of the training images."""

    def inpaint(self, x: Tensor, known: Tensor, rng: torch.Generator) -> Tensor:
        return torch.where(known, x, self.held.mean(0))


@register("control_fill_neighbour", family="control", gives=("inpaint",), events=("image",))
class NeighbourFill(Completion):
    """Unknown pixels from the training image whose known pixels are the nearest in Euclidean distance."""

    def inpaint(self, x: Tensor, known: Tensor, rng: torch.Generator) -> Tensor:
        mine = self.held[:, known]
        found = torch.cat([torch.cdist(part[:, known], mine).argmin(1) for part in x.split(ROWS)])
        return torch.where(known, x, self.held[found])
