"""Minimax GAN: generator and discriminator play the zero-sum game of the original paper.

Source      Goodfellow et al. 2014, "Generative Adversarial Nets", equation 1 and Algorithm 1 with k = 1.
Departures  1. Adam with the shared settings (on images DCGAN's 2e-4, 0.5) instead of SGD with momentum.
            2. Leaky ReLU MLP, from 16 pixels on DCGAN's networks, not maxout with dropout; Gaussian latents.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_bce, generator_minimax
from ganbench.model import GAN, Batch, register


@register("gan_minimax", family="adversarial", paper="arXiv:1406.2661", gives=("sample", "features"), version=3)
class MinimaxGAN(GAN):
    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:  # saturates where D(G(z)) is near 0: see gan_ns
        return generator_minimax(self.discriminator(self.generate(len(batch.x), batch.rng)))

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        with torch.no_grad():  # theorem 1: the value is 2 JS - log 4 at the best discriminator, and less at others
            return {"js_estimate": 0.5 * (math.log(4) - self.discriminator_loss(batch))}
