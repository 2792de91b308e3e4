"""Relativistic GAN: the discriminator says how much more real the real data are than the fakes; both players use both.

Source      Jolicoeur-Martineau 2018, "The relativistic discriminator", sections 4.1 (RSGAN) and 4.2 (RaSGAN).
Departures  1. The shared small networks. RaSGAN's losses are the paper's, twice those of the authors' code.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_relativistic, discriminator_relativistic_average
from ganbench.model import GAN, Batch, register


@register("relativistic", family="adversarial", paper="arXiv:1807.00734", gives=("sample", "features"), version=3)
class RelativisticGAN(GAN):
    class Config(GAN.Config):
        average: bool = True  # against the mean of the other kind (RaSGAN), or in pairs (RSGAN)

    config: Config

    def compare(self, more_real: Tensor, less_real: Tensor) -> Tensor:  # (B,), (B,) -> ()
        loss = discriminator_relativistic_average if self.config.average else discriminator_relativistic
        return loss(more_real, less_real)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return self.compare(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:  # the roles change places
        fake = self.discriminator(self.generate(len(batch.x), batch.rng))
        with torch.no_grad():
            real = self.discriminator(batch.x)
        return self.compare(fake, real)
