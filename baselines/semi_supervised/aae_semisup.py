"""Semi-supervised adversarial autoencoder: the encoder names a class and a style, each held to its prior by a judge.

Source      Makhzani et al. 2015, "Adversarial Autoencoders", section 5: phases of reconstruction, of regularisation (a
            categorical and a Gaussian discriminator, then the encoder) and of classification on labelled batches.
Departures  1. Adam instead of SGD with momentum; 400 units a layer instead of 1000 (the recipes keep 1000); 128
               units and a style of 2 numbers on events below 100.
Shapes      B batch, Z latent_dim, K classes, *E event shape.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganbench.bases.categorical_codes import CategoricalAutoencoder
from ganbench.model import DataSpec, Defaults, register
from ganbench.nn import MLP


@register(
    "aae_semisup",
    family="semi_supervised",
    paper="arXiv:1511.05644",
    gives=("sample", "encode", "reconstruct", "classify"),
    needs=("labels",),
)
class SemiSupervisedAAE(CategoricalAutoencoder):
    defaults = Defaults(  # on small events more style would take the class in
        image={"latent_dim": 10}, small={"batch_size": 50, "latent_dim": 2, "hidden": (128, 128)}
    )

    def build(self, spec: DataSpec) -> None:
        n_code, hidden = self.classes_of(spec) + self.config.latent_dim, self.config.hidden
        out = nn.Identity if spec.domain is None else nn.Tanh
        self.encoder = MLP(spec.event_shape, hidden, (n_code,))  # (B, *E) -> (B, K + Z): class logits, style
        self.decoder = MLP((n_code,), hidden, spec.event_shape, out_activation=out)  # (B, K + Z) -> (B, *E)
        self.build_judges()

    def coders(self) -> list[nn.Module]:
        return [self.encoder, self.decoder]

    def decode(self, y: Tensor, z: Tensor) -> Tensor:
        return self.decoder(torch.cat([y, z], 1))

    def encode(self, x: Tensor) -> Tensor:
        """q(y | x) beside the style: (B, *E) -> (B, K + Z)."""
        return torch.cat(self.infer(x), 1)
