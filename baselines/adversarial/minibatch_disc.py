"""Minibatch discrimination on a non-saturating GAN: the discriminator sees whether a batch is too alike.

Source      Salimans et al. 2016, "Improved Techniques for Training GANs", section 3.2; 100 kernels of 5 dimensions.
Departures  1. The shared small networks instead of the paper's, on 28x28 pixels the pair without dense layers, without
               noise on the discriminator's input or dropout; lecture notes that append to the input are wrong.
            2. One step of the generator per step of the discriminator, where the authors' code takes three.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import GAN, Batch, Count, DataSpec, register
from ganbench.nn import MinibatchDiscriminator, make_pair


@register("minibatch_disc", family="adversarial", paper="arXiv:1606.03498", gives=("sample", "features"), version=4)
class MinibatchDiscriminationGAN(GAN):
    class Config(GAN.Config):
        n_kernels: Count = 100
        kernel_dim: Count = 5

    config: Config

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        judge: Any
        self.generator, judge = make_pair(spec, c, dense=False)  # (B, Z) -> (B, *E) -> (B,)
        # (B, *E) -> (B, F) -> (B, F + n_kernels) -> (B,)
        self.discriminator = MinibatchDiscriminator(judge, c.n_kernels, c.kernel_dim)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        # Two calls, so that closeness is measured among the real and among the fakes, never across.
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_non_saturating(self.discriminator(self.generate(len(batch.x), batch.rng)))
