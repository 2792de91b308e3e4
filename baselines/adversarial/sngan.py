"""SNGAN: every layer of the discriminator has largest singular value 1, which bounds its slope.

Source      Miyato et al. 2018, "Spectral Normalization for GANs", Algorithm 1 with the hinge loss, equations 16 and 17.
Departures  1. The shared small networks, on 28x28 pixels the pair without dense layers; convolutions are normalised as
               reshaped matrices, as in the paper.
            2. On images one discriminator update per generator update: of the paper's settings B and C, not A, D to F.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_hinge, generator_wasserstein
from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, Player, register
from ganbench.nn import spectrally_normalised


@register("sngan", family="adversarial", paper="arXiv:1802.05957", gives=("sample", "features"), version=4)
class SNGAN(GAN):
    class Config(GAN.Config):
        n_critic: Count = 5  # discriminator updates per generator update

    config: Config
    judge_norm = "example"
    defaults = Defaults(image={"latent_dim": 64, "lr": 2e-4, "decay": "none", "n_critic": 1})

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        self.discriminator = spectrally_normalised(self.discriminator)  # one power iteration per forward pass

    def players(self) -> list[Player]:
        discriminator, generator = super().players()
        return [replace(discriminator, updates=self.config.n_critic), generator]

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return discriminator_hinge(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_wasserstein(self.discriminator(self.generate(len(batch.x), batch.rng)))
