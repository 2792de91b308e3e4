"""Noise that knows only the range of the data: the worst that an untrained generator should look to a metric.

Not a model: a control row. Uniform over the domain of images; over the box around the training data for vectors.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.model import Budget, DataSpec, Model, Split, register


@register("control_noise", family="control")
class Noise(Model):
    """Independent uniform draws per dimension."""

    low: Tensor
    high: Tensor

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        low, high = spec.domain or (0.0, 0.0)
        self.register_buffer("low", torch.full(spec.event_shape, low))
        self.register_buffer("high", torch.full(spec.event_shape, high))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        if self.spec.domain is None:
            x = data.events()
            self.low, self.high = x.amin(0), x.amax(0)  # (*E)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        u = torch.rand(n, *self.spec.event_shape, generator=rng, device=rng.device)
        return self.low + (self.high - self.low) * u
