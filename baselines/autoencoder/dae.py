"""Denoising autoencoder: reconstructs the clean event from a corrupted one.

Source      Vincent et al. 2008, "Extracting and Composing Robust Features with Denoising Autoencoders" (ICML),
            section 2: masking noise; Gaussian noise is that of Vincent et al. 2010 (JMLR 11), section 3.
Departures  1. One autoencoder trained end to end with Adam instead of a stack pretrained layer by layer.
            2. Gaussian noise on vectors, where setting a coordinate to zero is no corruption of a known kind.
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
from ganbench.model import Batch, Count, DataSpec, Defaults, Player, Positive, Probability, register
from ganbench.nn import bounds, from_unit, make_decoder, make_encoder, to_unit


@register("dae", family="autoencoder", paper="Vincent et al., ICML 2008", gives=("encode", "from_codes", "reconstruct"))
class DenoisingAutoencoder(EncoderDecoder):
    @dataclass(frozen=True)
    class Config(EncoderDecoder.Config):
        latent_dim: Count = 32  # may exceed the event's size: the noise keeps it from copying
        corruption: Literal["masking", "gaussian"] = "gaussian"
        p_mask: Probability = 0.25  # share of the numbers set to the low end of the domain (0 on vectors)
        noise_std: Positive = 0.3
        output: Literal["gaussian", "bernoulli"] = "gaussian"

    config: Config
    defaults = Defaults(image={"corruption": "masking", "output": "bernoulli"})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        if c.output == "bernoulli":
            bounds(spec)  # refuses unbounded data, whose values are no probabilities
        self.encoder = make_encoder(spec, c, c.latent_dim)  # (B, *E) -> (B, Z)
        self.decoder = make_decoder(spec, c, bounded=c.output == "gaussian")  # (B, Z) -> (B, *E): logits or means

    def players(self) -> list[Player]:
        return [Player("autoencoder", self, self.loss, partial(torch.optim.Adam, lr=self.config.lr))]

    def corrupt(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """A noisy copy: (B, *E) -> (B, *E)."""
        if self.config.corruption == "gaussian":
            return x + self.config.noise_std * torch.randn(x.shape, generator=rng, device=x.device)
        masked = torch.rand(x.shape, generator=rng, device=x.device) < self.config.p_mask
        return x.masked_fill(masked, 0.0 if self.spec.domain is None else self.spec.domain[0])

    def loss(self, batch: Batch) -> Tensor:
        out = self.decoder(self.encoder(self.corrupt(batch.x, batch.rng)))  # from the noisy event ...
        if self.config.output == "bernoulli":
            return -bernoulli_log_prob(to_unit(batch.x, self.spec), out).mean()  # ... to the clean one
        return (batch.x - out).square().flatten(1).sum(1).mean()

    def from_codes(self, z: Tensor) -> Tensor:
        out: Tensor = self.decoder(z)
        return from_unit(torch.sigmoid(out), self.spec) if self.config.output == "bernoulli" else out
