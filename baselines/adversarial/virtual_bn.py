"""Virtual batch norm in the generator of a non-saturating GAN: normalised by a fixed reference batch and by itself.

Source      Salimans et al. 2016, "Improved Techniques for Training GANs", section 3.5.
Departures  1. The shared small networks; the reference latents are drawn when the networks are made.
Shapes      B batch, R reference, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import GAN, Batch, Count, DataSpec, register
from ganbench.nn import VirtualBatchNorm, WithReference, make_generator, make_judge


@register("virtual_bn", family="adversarial", paper="arXiv:1606.03498", gives=("sample", "features"), version=2)
class VirtualBatchNormGAN(GAN):
    class Config(GAN.Config):
        n_reference: Count = 64

    config: Config

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        norm = partial(VirtualBatchNorm, n_reference=c.n_reference)
        reference = torch.randn(c.n_reference, c.latent_dim)
        self.generator = WithReference(make_generator(spec, c, norm), reference)  # (B, Z) -> (B, *E)
        self.discriminator = make_judge(spec, c)  # (B, *E) -> (B,)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_non_saturating(self.discriminator(self.generate(len(batch.x), batch.rng)))
