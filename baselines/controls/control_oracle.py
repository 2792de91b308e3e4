"""Real data held out from training and from the reference: the best that samples can look to a metric.

Not a model: a control row. What a metric gives here is its floor at this sample size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.model import Budget, DataSpec, Model, Split, register


@register("control_oracle", family="control", needs=("holdout",), role="oracle")
class Oracle(Model):
    """Draws held-out events without repeats for as long as there are any, then starts over in a new order."""

    events_held: Tensor

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.register_buffer("events_held", torch.zeros(0, *spec.event_shape))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        self.events_held = data.events().clone()  # the runner hands the holdout to models that need it

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        held = len(self.events_held)
        orders = [torch.randperm(held, generator=rng, device=rng.device) for _ in range(-(-n // held))]
        return self.events_held[torch.cat(orders)[:n]]
