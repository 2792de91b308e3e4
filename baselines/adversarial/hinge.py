"""Hinge GAN: the discriminator learns only from examples inside its margin; the generator climbs its score.

Source      Lim and Ye 2017, "Geometric GAN", section 3; Miyato et al. 2018, arXiv:1802.05957, equations 16 and 17.
Departures  1. The shared small networks; no spectral normalisation (that is sngan).
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_hinge, generator_wasserstein
from ganbench.model import GAN, Batch, register


@register("hinge", family="adversarial", paper="arXiv:1705.02894", gives=("sample", "features"), version=3)
class HingeGAN(GAN):
    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return discriminator_hinge(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_wasserstein(self.discriminator(self.generate(len(batch.x), batch.rng)))
