"""R1: a non-saturating GAN whose discriminator is flat on the data, which makes training locally convergent.

Source      Mescheder et al. 2018, "Which Training Methods for GANs do actually Converge?", equation 9, gamma = 10.
Departures  1. The shared small networks, on 28x28 pixels the pair without dense layers, no norm in the discriminator,
               weights N(0, 0.02) in convolutions. A comparison with gan_ns is one of these networks too.
            2. Adam's shared settings; gamma is the paper's for 200,000 iterations and more; no average of weights.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.losses.penalties import gradient_norms, r1_penalty
from ganbench.model import GAN, Batch, NonNegative, register


@register("r1", family="adversarial", paper="arXiv:1801.04406", gives=("sample", "features"), version=3)
class R1GAN(GAN):
    class Config(GAN.Config):
        penalty_weight: NonNegative = 10.0  # gamma; the penalty is gamma / 2 E |grad|^2

    config: Config
    judge_norm = "example"

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        loss = discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))
        return loss + self.config.penalty_weight * r1_penalty(self.discriminator, batch.x)

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_non_saturating(self.discriminator(self.generate(len(batch.x), batch.rng)))

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        return {"gradient_norm_at_data": gradient_norms(self.discriminator, batch.x).mean()}
