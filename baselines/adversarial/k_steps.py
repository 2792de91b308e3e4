"""k discriminator updates per generator update: too few and the generator chases a poor guide, too many and it stalls.

Source      Goodfellow et al. 2014, "Generative Adversarial Nets", Algorithm 1; the loss of gan_ns.
Departures  1. Adam with the shared settings instead of SGD with momentum; the shared small networks.
            2. k = 5; the paper's experiments take 1, the least expensive, which here is gan_ns.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import GAN, Batch, Count, Player, register


@register("k_steps", family="adversarial", paper="arXiv:1406.2661", gives=("sample", "features"), version=3)
class KStepGAN(GAN):
    class Config(GAN.Config):
        k: Count = 5  # discriminator updates per generator update

    config: Config

    def players(self) -> list[Player]:
        discriminator, generator = super().players()
        return [replace(discriminator, updates=self.config.k), generator]

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_non_saturating(self.discriminator(self.generate(len(batch.x), batch.rng)))
