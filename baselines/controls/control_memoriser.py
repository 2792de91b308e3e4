"""A memoriser: a small part of the training set, resampled. It looks perfect until somebody counts or compares.

Not a model: a control row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.model import Budget, Count, DataSpec, Model, Split, register


@register("control_memoriser", family="control")
class Memoriser(Model):
    """Draws with replacement from `n_examples` distinct training examples."""

    class Config(Model.Config):
        n_examples: Count = 100

    memory: Tensor

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.register_buffer("memory", torch.zeros(0, *spec.event_shape))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        self.memory = data.events(torch.randperm(len(data), generator=rng, device=rng.device)[: self.config.n_examples])

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.memory[torch.randint(len(self.memory), (n,), generator=rng, device=rng.device)]
