"""A discriminator of events under conditions, and classes as vectors.

Shapes      B batch, D numbers in a condition, F features of the event, K classes, *E event shape.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.data import DataSpec
from ganbench.data.conditions import check_attributes as check_attributes
from ganbench.errors import BadInput
from ganbench.nn.dcgan import DENSE, convolutions, dcgan_init
from ganbench.nn.default import Layers, _conv, make_discriminator
from ganbench.nn.mlp import MLP


class ConditionalDiscriminator(nn.Module):
    """A tower for the event, a layer for the condition, a hidden layer on both: (B, *E), (B, D) -> (B,) logits.

    The tower is that of the default discriminator. Of a DCGAN it is the convolutions: what both meet in is then its
    dense layer, batch-normed as the 1x1 convolution is in which the authors of GAN-CLS join them.
    """

    def __init__(self, spec: DataSpec, config: Layers, n_condition: int, condition_width: int) -> None:
        super().__init__()
        width, norm = config.hidden[-1], None
        if _conv(spec, config):
            layers, n_features = convolutions(spec, config.width, nn.BatchNorm2d)
            self.event_tower = nn.Sequential(*layers, nn.Flatten())
            dcgan_init(self.event_tower)
            width, norm = DENSE.get(spec.event_shape[1:], width), nn.BatchNorm1d
        else:
            judge: Any = make_discriminator(spec, config)
            self.event_tower, n_features = nn.Sequential(nn.Flatten(), judge.body), judge.n_features
        self.condition_tower = nn.Sequential(nn.Linear(n_condition, condition_width), nn.LeakyReLU(0.2))
        joined = (n_features + condition_width,)
        self.head = MLP(joined, (width,), (), activation=lambda: nn.LeakyReLU(0.2), norm=norm)

    def features(self, x: Tensor) -> Tensor:
        """What the tower sees in an event, whatever the condition: (B, *E) -> (B, F)."""
        out: Tensor = self.event_tower(x)
        return out

    def match(self, features: Tensor, condition: Tensor) -> Tensor:
        """Logits of features under conditions, so that one look at an event serves several: (B, F), (B, D) -> (B,)."""
        out: Tensor = self.head(torch.cat([features, self.condition_tower(condition)], 1))
        return out

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return self.match(self.features(x), condition)


def one_hot(y: Tensor, n_classes: int) -> Tensor:
    """Classes as vectors to concatenate: (B,) int64 -> (B, K) float32."""
    return F.one_hot(y, n_classes).float()


def check_classes(y: Tensor, n: int, n_classes: int) -> None:
    """Raise `BadInput` unless y holds n classes, (n,) int64 from 0 to K - 1."""
    if y.shape != (n,) or y.dtype != torch.int64:
        raise BadInput(f"y must be ({n},) int64, a class for each sample; got {tuple(y.shape)} {_plain(y.dtype)}")
    if n and not 0 <= int(y.min()) <= int(y.max()) < n_classes:
        raise BadInput(f"y must hold classes from 0 to {n_classes - 1}; got {int(y.min())} to {int(y.max())}")


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
