"""A conditional model that ignores its condition: real training events, whatever was asked for.

Not models: control rows. Diversity and distances of laws are those of real data; agreement is by chance.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.model import Budget, DataSpec, Model, Split, register


class Training(Model):
    """Draws training events with replacement."""

    held: Tensor

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.register_buffer("held", torch.zeros(0, *spec.event_shape))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        self.held = data.events().clone()

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        return self.held[torch.randint(len(self.held), (n,), generator=rng, device=rng.device)]


@register("control_ignore", family="control", needs=("y",))
class Ignore(Training):
    """Takes a class and draws from all of them."""

    def sample(self, n: int, rng: torch.Generator, y: Tensor | None = None) -> Tensor:
        return self.draw(n, rng)


@register(
    "control_ignore_condition", family="control", gives=("translate",), needs=("cond",),
    conditions=("image", "tokens", "attributes"),
)  # fmt: skip
class IgnoreCondition(Training):
    """Takes a source, a caption or attributes and draws from the events of all."""

    def translate(self, cond: Tensor, rng: torch.Generator) -> Tensor:
        return self.draw(len(cond), rng)
