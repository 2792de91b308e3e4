"""Batch norm in both players of a non-saturating GAN, which keeps a deep generator from collapsing to one point.

Source      Ioffe and Szegedy 2015, "Batch Normalization"; in GANs, Radford et al. 2016, arXiv:1511.06434, section 3.
Departures  1. The shared small networks, normalised in every hidden layer but the discriminator's first.
            2. From 16 pixels on all GANs without a penalty on single examples have these norms: there it is gan_ns.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import GAN, Batch, DataSpec, register
from ganbench.nn import batch_norm, make_discriminator, make_generator


@register("batch_norm", family="adversarial", paper="arXiv:1502.03167", gives=("sample", "features"))
class BatchNormGAN(GAN):
    class Config(GAN.Config):
        in_discriminator: bool = True

    config: Config

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        norm = batch_norm(spec, c)
        self.generator = make_generator(spec, c, norm)  # (B, Z) -> (B, *E)
        self.discriminator = make_discriminator(spec, c, norm if c.in_discriminator else None)  # (B, *E) -> (B,)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        # Two calls: a batch of both kinds would let each example see the other kind's mean.
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_non_saturating(self.discriminator(self.generate(len(batch.x), batch.rng)))
