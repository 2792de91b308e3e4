"""What models with an encoder and a decoder share, as GANs share theirs: sizes, and codes as the networks give them."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from ganbench.model import Batch, Count, Model, Player, Positive


class EncoderDecoder(Model):
    """A subclass builds `encoder` (B, *E) -> (B, F) and `decoder` (B, Z) -> (B, *E) and says what they minimise."""

    class Config(Model.Config):
        latent_dim: Count = 2
        architecture: Literal["auto", "mlp", "conv"] = "auto"  # auto: conv from 16 pixels on
        hidden: tuple[Count, ...] = (128, 128)  # widths of both MLPs
        width: Count = 32  # filters of the convolutions next to the image
        lr: Positive = 1e-3

    config: Config
    encoder: nn.Module
    decoder: nn.Module

    def players(self) -> list[Player]:
        """Both networks as one, by Adam."""
        return [Player("autoencoder", self, self.loss, partial(torch.optim.Adam, lr=self.config.lr))]

    def loss(self, batch: Batch) -> Tensor:
        """What encoder and decoder minimise together."""
        raise NotImplementedError

    def encode(self, x: Tensor) -> Tensor:
        """The encoder's output: (B, *E) -> (B, Z)."""
        out: Tensor = self.encoder(x)
        return out

    def from_codes(self, z: Tensor) -> Tensor:
        """The decoder's output: (B, Z) -> (B, *E)."""
        out: Tensor = self.decoder(z)
        return out
