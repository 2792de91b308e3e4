"""Adversarial autoencoder for pictures of data: a head for each class, a style around it, both in two dimensions.

Source      Makhzani et al. 2015, "Adversarial Autoencoders", section 7: the code is W_C y + z, and heads (columns of
            W_C) closer than a threshold are pushed apart by a cost linear in what is missing.
Departures  1. Adam instead of SGD with momentum; 400 units a layer instead of 1000 (the recipes keep 1000), 128 on
               events below 100 numbers.
            2. Heads start as draws from N(0, threshold^2); threshold and weight of their cost are choices made here.
Shapes      B batch, Z latent_dim, K classes, *E event shape.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.bases.categorical_codes import CategoricalAutoencoder
from ganbench.model import Batch, DataSpec, Defaults, NonNegative, Positive, register
from ganbench.nn import MLP


def head_cost(heads: Tensor, threshold: float) -> Tensor:
    """Sum over pairs of heads of max(0, threshold - distance): (K, Z) -> ()."""
    return F.relu(threshold - F.pdist(heads)).sum()


@register(
    "aae_dimred",
    family="semi_supervised",
    paper="arXiv:1511.05644",
    gives=("sample", "encode", "reconstruct", "classify"),
    needs=("labels",),
)
class DimensionReducingAAE(CategoricalAutoencoder):
    class Config(CategoricalAutoencoder.Config):
        threshold: Positive = 6.0  # distance of heads below which they repel; the style has deviation 1
        head_weight: NonNegative = 1.0

    config: Config
    defaults = Defaults(small={"batch_size": 50, "hidden": (128, 128)})

    def build(self, spec: DataSpec) -> None:
        k, c = self.classes_of(spec), self.config
        out = nn.Identity if spec.domain is None else nn.Tanh
        self.encoder = MLP(spec.event_shape, c.hidden, (k + c.latent_dim,))  # (B, *E) -> (B, K + Z): logits, style
        self.heads = nn.Linear(k, c.latent_dim, bias=False)  # W_C: (B, K) -> (B, Z)
        nn.init.normal_(self.heads.weight, std=c.threshold)
        self.decoder = MLP((c.latent_dim,), c.hidden, spec.event_shape, out_activation=out)  # (B, Z) -> (B, *E)
        self.build_judges()

    def coders(self) -> list[nn.Module]:
        return [self.encoder, self.heads, self.decoder]

    def decode(self, y: Tensor, z: Tensor) -> Tensor:
        return self.decoder(self.heads(y) + z)

    def reconstruction_loss(self, batch: Batch) -> Tensor:
        cost = head_cost(self.heads.weight.T, self.config.threshold)
        return super().reconstruction_loss(batch) + self.config.head_weight * cost

    def encode(self, x: Tensor) -> Tensor:
        """W_C q(y | x) + style: (B, *E) -> (B, Z)."""
        y, z = self.infer(x)
        return self.heads(y) + z
