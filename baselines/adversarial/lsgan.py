"""LSGAN: least-squares targets, so that fakes far on the right side of the boundary are pulled back too.

Source      Mao et al. 2017, "Least Squares Generative Adversarial Networks", equation 2 with a, b, c = 0, 1, 1.
Departures  1. The shared small networks instead of the paper's VGG-like and DCGAN ones, and Adam; `architecture` and
               `optimizer` also name those of WGAN-GP's comparison.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_least_squares, generator_least_squares
from ganbench.model import GAN, Batch, Player, register


@register("lsgan", family="adversarial", paper="arXiv:1611.04076", gives=("sample", "features"), version=3)
class LSGAN(GAN):
    class Config(GAN.Config):
        fake_target: float = 0.0  # a; the paper also gives (-1, 1, 0), which minimises Pearson's chi^2 (section 3.2)
        real_target: float = 1.0  # b
        generator_target: float = 1.0  # c
        optimizer: Literal["adam", "rmsprop"] = "adam"

    config: Config

    def players(self) -> list[Player]:
        if self.config.optimizer == "adam":
            return super().players()
        rmsprop = partial(torch.optim.RMSprop, lr=self.config.lr)
        return [replace(player, optimizer=rmsprop) for player in super().players()]

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        c = self.config
        real, fake = self.discriminator(batch.x), self.discriminator(fake)
        return discriminator_least_squares(real, fake, c.real_target, c.fake_target)

    def generator_loss(self, batch: Batch) -> Tensor:
        fake = self.discriminator(self.generate(len(batch.x), batch.rng))
        return generator_least_squares(fake, self.config.generator_target)
