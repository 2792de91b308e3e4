"""Two-sided label smoothing: the discriminator is trained towards 0.9 on real data and 0.1 on fakes.

Source      Salimans et al. 2016, "Improved Techniques for Training GANs", section 3.4, which warns of this form:
            where p_data is near 0 fakes keep the share beta of D*, and have no reason to move.
Departures  1. The shared small networks.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_bce_smoothed, generator_non_saturating
from ganbench.model import GAN, Batch, Probability, register


@register("two_sided_ls", family="adversarial", paper="arXiv:1606.03498", gives=("sample", "features"), version=3)
class TwoSidedLabelSmoothingGAN(GAN):
    class Config(GAN.Config):
        real_target: Probability = 0.9  # alpha
        fake_target: Probability = 0.1  # beta

    config: Config

    def discriminator_loss(self, batch: Batch) -> Tensor:  # D* = (alpha p_data + beta p_g) / (p_data + p_g)
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        c = self.config
        return discriminator_bce_smoothed(
            self.discriminator(batch.x), self.discriminator(fake), c.real_target, c.fake_target
        )

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_non_saturating(self.discriminator(self.generate(len(batch.x), batch.rng)))
