"""The mean frame of the training clips: the best future for one who sees nothing of a clip.

Not a model: a control row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.model import Budget, DataSpec, Model, Split, register


@register("control_mean_frame", family="control", gives=("predict",), events=("clip",))
class MeanFrame(Model):
    """One frame, always."""

    mean: Tensor

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.register_buffer("mean", torch.zeros(spec.event_shape[1:]))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        rows = torch.arange(len(data), device=data.x.device).split(500)
        self.mean.copy_(torch.stack([data.events(part).mean(1).sum(0) for part in rows]).sum(0) / len(data))

    def predict(self, frames: Tensor, k: int, rng: torch.Generator) -> Tensor:
        return self.mean.expand(len(frames), k, -1, -1, -1).clone()
