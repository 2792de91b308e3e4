"""Non-saturating GAN: the generator climbs log D(G(z)), so that it learns most where the discriminator wins.

Source      Goodfellow et al. 2014, "Generative Adversarial Nets", Algorithm 1 with the generator of section 3.
Departures  1. Adam with the shared settings (on images DCGAN's 2e-4, 0.5) instead of SGD with momentum.
            2. Leaky ReLU MLP, from 16 pixels on DCGAN's networks, not maxout with dropout; Gaussian latents.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import GAN, Batch, register


@register("gan_ns", family="adversarial", paper="arXiv:1406.2661", gives=("sample", "features"), version=3)
class NonSaturatingGAN(GAN):
    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_non_saturating(self.discriminator(self.generate(len(batch.x), batch.rng)))
