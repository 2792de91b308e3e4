"""Tangent propagation: a classifier whose output is told not to move when an image is shifted, turned or scaled.

Source      Simard et al. 1991, "Tangent Prop: a formalism for specifying selected invariances in an adaptive
            network" (NIPS), equation 2: cross entropy + weight * sum_j |df/dx . v_j|^2.
            A lecture's form lacks the square, so its sum of signed slopes has no floor: that is penalty = "signed".
Departures  1. Adam, ReLU layers and cross entropy instead of a small tanh network with squared error.
            2. Tangent vectors by central differences of the pixels: shifts in both directions, rotation, scaling.
Shapes      B batch, T transformations (4), K classes, C channels, H and W sides of an image.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.model import Batch, Count, DataSpec, Model, NonNegative, NotApplicable, Player, Positive, register
from ganbench.nn import make_encoder


def transformation_tangents(x: Tensor) -> Tensor:
    """Derivatives of images by shift right and down (pixels), rotation (radians), log scale: -> (B, 4, C, H, W)."""
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    right = (padded[..., 1:-1, :-2] - padded[..., 1:-1, 2:]) / 2  # minus the slope: content moves right
    down = (padded[..., :-2, 1:-1] - padded[..., 2:, 1:-1]) / 2
    rows = torch.arange(x.shape[2], device=x.device) - (x.shape[2] - 1) / 2
    columns = torch.arange(x.shape[3], device=x.device) - (x.shape[3] - 1) / 2
    rotation = columns * down - rows[:, None] * right
    scaling = columns * right + rows[:, None] * down
    return torch.stack([right, down, rotation, scaling], dim=1)


@register(
    "tangent_prop",
    family="autoencoder",
    paper="Simard et al., NIPS 1991",
    gives=("classify", "features", "tangents"),
    needs=("y",),
    events=("image",),
)
class TangentProp(Model):
    class Config(Model.Config):
        architecture: Literal["auto", "mlp", "conv"] = "auto"
        hidden: tuple[Count, ...] = (128, 128)
        width: Count = 32
        lr: Positive = 1e-3
        tangent_weight: NonNegative = 0.1
        penalty: Literal["squared", "signed"] = "squared"  # signed: the lecture's sum without the square

    config: Config

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        if not spec.is_image:
            raise NotApplicable(f"tangent_prop knows how images shift and turn; {spec.name} has {spec.event_shape}")
        self.classifier = make_encoder(spec, self.config, spec.classes_for(self.name), norm=None)  # (B, *E) -> (B, K)

    def players(self) -> list[Player]:
        return [Player("classifier", self.classifier, self.loss, partial(torch.optim.Adam, lr=self.config.lr))]

    def slopes(self, x: Tensor, tangents: Tensor) -> Tensor:
        """Directional derivatives of the logits: (B, *E), (B, T, *E) -> (B, T, K)."""
        repeated = x[:, None].expand_as(tangents).flatten(0, 1)
        slope = torch.func.jvp(self.classifier, (repeated,), (tangents.flatten(0, 1),))[1]
        return slope.unflatten(0, tangents.shape[:2])

    def loss(self, batch: Batch) -> Tensor:  # equation 2
        assert batch.y is not None
        slopes = self.slopes(batch.x, transformation_tangents(batch.x))
        each = slopes.square() if self.config.penalty == "squared" else slopes
        omega = each.sum((1, 2)).mean()
        return F.cross_entropy(self.classifier(batch.x), batch.y) + self.config.tangent_weight * omega

    def tangents(self, x: Tensor) -> Tensor:
        """Those of the transformations, which are given and not learned: (B, *E) -> (B, T, *E)."""
        return transformation_tangents(x)

    def classify(self, x: Tensor) -> Tensor:
        return self.classifier(x)

    def features(self, x: Tensor) -> Tensor:
        return self.classifier.features(x)
