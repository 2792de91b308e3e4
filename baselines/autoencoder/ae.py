"""Autoencoder: a code of each event from which the event can be decoded; it has no prior, so it does not sample.

Source      Hinton and Salakhutdinov 2006, "Reducing the Dimensionality of Data with Neural Networks", Science 313: the
            loss is -log p(x | decoder(encoder(x))), Gaussian (squared error) or Bernoulli (cross entropy).
Departures  1. Trained end to end with Adam and ReLU; the paper pretrains sigmoid layers as Boltzmann machines.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from ganbench.bases.encoder_decoder import EncoderDecoder
from ganbench.losses.likelihoods import bernoulli_log_prob
from ganbench.model import Batch, Count, DataSpec, Defaults, Player, register
from ganbench.nn import bounds, from_unit, make_decoder, make_encoder, to_unit


@register(
    "ae", family="autoencoder", paper="doi:10.1126/science.1127647", gives=("encode", "from_codes", "reconstruct")
)
class Autoencoder(EncoderDecoder):
    @dataclass(frozen=True)
    class Config(EncoderDecoder.Config):
        latent_dim: Count = 1  # below the two dimensions of the plane: a code of two could copy
        output: Literal["gaussian", "bernoulli"] = "gaussian"

    config: Config
    defaults = Defaults(image={"latent_dim": 30, "output": "bernoulli"})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        if c.output == "bernoulli":
            bounds(spec)  # refuses unbounded data, whose values are no probabilities
        self.encoder = make_encoder(spec, c, c.latent_dim)  # (B, *E) -> (B, Z)
        self.decoder = make_decoder(spec, c, bounded=c.output == "gaussian")  # (B, Z) -> (B, *E): logits or means

    def players(self) -> list[Player]:
        return [Player("autoencoder", self, self.loss, partial(torch.optim.Adam, lr=self.config.lr))]

    def loss(self, batch: Batch) -> Tensor:
        out = self.decoder(self.encoder(batch.x))
        if self.config.output == "bernoulli":
            return -bernoulli_log_prob(to_unit(batch.x, self.spec), out).mean()
        return (batch.x - out).square().flatten(1).sum(1).mean()

    def from_codes(self, z: Tensor) -> Tensor:
        out: Tensor = self.decoder(z)
        return from_unit(torch.sigmoid(out), self.spec) if self.config.output == "bernoulli" else out
