"""Feature matching: the generator matches the mean of the discriminator's features instead of fooling it.

Source      Salimans et al. 2016, "Improved Techniques for Training GANs", section 3.1.
Departures  1. The shared small networks; features are the discriminator's last hidden layer.
Shapes      B batch, Z latent_dim, F features, *E event shape.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_bce, feature_matching
from ganbench.model import GAN, Batch, register


@register("feature_matching", family="adversarial", paper="arXiv:1606.03498", gives=("sample", "features"), version=3)
class FeatureMatchingGAN(GAN):
    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        fake = self.features(self.generate(len(batch.x), batch.rng))  # (B, F)
        with torch.no_grad():
            real = self.features(batch.x)
        return feature_matching(real, fake)
