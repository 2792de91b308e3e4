"""Total mode collapse: every sample comes from one mode of the data, perfectly. A metric of diversity must notice.

Not a model: a control row. One image, repeated; for vectors one training point and its nearest neighbours, which are
one mode of a mixture.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.model import Budget, DataSpec, Fraction, Model, Split, register


@register("control_collapse", family="control")
class Collapse(Model):
    """Resamples one training example, or the nearest share of the training set around one."""

    class Config(Model.Config):
        share: Fraction = 0.02  # of the training vectors, around one of them; below 1/25, the weight of a grid25 mode

    mode: Tensor

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.register_buffer("mode", torch.zeros(0, *spec.event_shape))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        centre = data.events(torch.randint(len(data), (1,), generator=rng, device=rng.device))  # (1, *E)
        if self.spec.is_image:
            self.mode = centre
            return
        x = data.events()
        count = max(1, round(self.config.share * len(x)))
        nearest = (x - centre).flatten(1).norm(dim=1).topk(count, largest=False).indices
        self.mode = x[nearest]

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.mode[torch.randint(len(self.mode), (n,), generator=rng, device=rng.device)]
