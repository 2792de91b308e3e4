"""DRAGAN: a non-saturating GAN whose discriminator is held to unit slope around the data, against sharp local optima.

Source      Kodali et al. 2017, "On Convergence and Stability of GANs", Algorithm 1, k = 1.
Departures  1. The slope, that of the logit as in the authors' code, is held at x plus noise, uniform to both sides and
               as wide as the data's deviation: no N(0, 10 I), nor the code's segment from x to x plus half of that.
            2. lambda = 10 on images, 0.1 on vectors, as WGAN-GP's pair of values; Adam's shared settings.
            3. The shared small networks, on 28x28 pixels the pair without dense layers, N(0, 0.02) in place of He's
               weights, and no norm in the discriminator. A comparison with gan_ns is one of these networks too.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.losses.penalties import dragan_penalty, gradient_norms
from ganbench.model import GAN, Batch, Defaults, NonNegative, register


@register("dragan", family="adversarial", paper="arXiv:1705.07215", gives=("sample", "features"), version=4)
class DRAGAN(GAN):
    class Config(GAN.Config):
        penalty_weight: NonNegative = 0.1  # lambda

    config: Config
    judge_norm = "example"
    defaults = Defaults(image={"latent_dim": 64, "lr": 2e-4, "decay": "none", "penalty_weight": 10.0})

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        loss = discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))
        return loss + self.config.penalty_weight * dragan_penalty(self.discriminator, batch.x, batch.rng)

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_non_saturating(self.discriminator(self.generate(len(batch.x), batch.rng)))

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        return {"gradient_norm_at_data": gradient_norms(self.discriminator, batch.x).mean()}
