"""Real held-out events of the class that is asked for: the best that a conditional sample can look to a metric.

Not a model: a control row. Its label agreement is the scorer's own accuracy.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.errors import BadInput
from ganbench.model import Budget, DataSpec, Model, Split, register


@register("control_class_oracle", family="control", needs=("holdout", "y"))
class ClassOracle(Model):
    """Draws held-out events of a class, with replacement."""

    held: Tensor
    classes: Tensor

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.register_buffer("held", torch.zeros(0, *spec.event_shape))
        self.register_buffer("classes", torch.zeros(0, dtype=torch.int64))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        assert data.y is not None
        self.held, self.classes = data.events().clone(), data.y.clone()  # the runner hands over the holdout

    def sample(self, n: int, rng: torch.Generator, y: Tensor | None = None) -> Tensor:
        """n events of the classes y (n,), or of any. Raises `BadInput` for a class that none is of."""
        if y is None:
            return self.held[torch.randint(len(self.held), (n,), generator=rng, device=rng.device)]
        fits = (y[:, None] == self.classes).float()  # (n, N)
        if not bool(fits.any(1).all()):
            raise BadInput("y must hold classes of the data; got one that no held-out event is of")
        return self.held[torch.multinomial(fits, 1, generator=rng).squeeze(1)]
