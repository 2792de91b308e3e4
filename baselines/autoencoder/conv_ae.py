"""Convolutional autoencoder whose decoder undoes pooling by upsampling and convolving: a deconvnet without switches.

Source      Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 2.1, simplified:
            nearest-neighbour upsampling stands where the paper unpools to remembered positions.
Departures  1. The paper inverts a trained classifier; here both halves are trained to reconstruct, with Adam.
Shapes      B batch, Z latent_dim, C channels, W width, H side of the image (a multiple of 4).
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from ganbench.losses.likelihoods import bernoulli_log_prob
from ganbench.model import Batch, Count, DataSpec, Model, NotApplicable, Player, Positive, register
from ganbench.nn import bounds, from_unit, to_unit


def conv(n_in: int, n_out: int) -> nn.Sequential:
    """3x3 convolution that keeps the side, ReLU."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU())


@register(
    "conv_ae",
    family="autoencoder",
    paper="arXiv:1311.2901",
    gives=("encode", "from_codes", "reconstruct"),
    events=("image",),
)
class ConvAutoencoder(Model):
    class Config(Model.Config):
        latent_dim: Count = 32
        width: Count = 16  # filters next to the image; twice as many at half its side
        lr: Positive = 1e-3

    config: Config

    def build(self, spec: DataSpec) -> None:
        self.spec, c, w = spec, self.config, self.config.width
        if not spec.is_image or spec.event_shape[1] % 4 or spec.event_shape[2] % 4:
            raise NotApplicable(
                f"conv_ae halves the sides of an image twice, so they are multiples of 4; {spec.name} has "
                f"{spec.event_shape}: use ae"
            )
        bounds(spec)  # refuses unbounded data, whose values are no probabilities
        channels, height, width = spec.event_shape
        small = (2 * w, height // 4, width // 4)
        n_small = 2 * w * (height // 4) * (width // 4)
        self.encoder = nn.Sequential(
            conv(channels, w), nn.MaxPool2d(2), conv(w, 2 * w), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(n_small, c.latent_dim),
        )  # fmt: skip  # (B, C, H, H) -> (B, Z)
        self.decoder = nn.Sequential(
            nn.Linear(c.latent_dim, n_small), nn.ReLU(), nn.Unflatten(1, small),
            nn.Upsample(scale_factor=2), conv(2 * w, w),
            nn.Upsample(scale_factor=2), nn.Conv2d(w, channels, 3, padding=1),
        )  # fmt: skip  # (B, Z) -> (B, C, H, H): logits

    def players(self) -> list[Player]:
        return [Player("autoencoder", self, self.loss, partial(torch.optim.Adam, lr=self.config.lr))]

    def loss(self, batch: Batch) -> Tensor:
        return -bernoulli_log_prob(to_unit(batch.x, self.spec), self.decoder(self.encoder(batch.x))).mean()

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def from_codes(self, z: Tensor) -> Tensor:
        return from_unit(torch.sigmoid(self.decoder(z)), self.spec)
