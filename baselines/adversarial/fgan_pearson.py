"""f-GAN, Pearson: the generator minimises a bound on Pearson's chi-square of data against generator.

Source      Nowozin et al. 2016, "f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization",
            equation 6 and table 2: T = V, f*(T) = V^2 / 4 + V;
            the sum of (p - q)^2 / q (the paper's table prints Neyman's, over p).
Departures  1. The shared small networks and batches instead of the paper's batch of 4096.
            2. The generator climbs E g_f(V(G(z))), which section 3.2 prefers as faster (it is the
               non-saturating trick); Algorithm 1's own -E f*(g_f(V(G(z)))) is the option `generator="conjugate"`.
Known       On ring8 it collapses (after 3,000 iterations no mode; 1 at the paper's learning rate of 2e-4): the best V
            is 2 (p/q - 1), which nothing bounds at modes without fakes, and the first fakes to arrive there enter the
            discriminator's loss squared.
Shapes      B batch, Z latent_dim, *E event shape; V is the discriminator's output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ganbench.losses.divergences import DIVERGENCES, generator_f, generator_f_exact, variational_bound
from ganbench.model import GAN, Batch, register


@register("fgan_pearson", family="adversarial", paper="arXiv:1606.00709", gives=("sample", "features"), version=3)
class PearsonGAN(GAN):
    @dataclass(frozen=True)
    class Config(GAN.Config):
        generator: Literal["activation", "conjugate"] = "activation"

    config: Config
    divergence = DIVERGENCES["pearson"]

    def bound(self, batch: Batch) -> Tensor:  # equation 6: at most D_f(data || generator)
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return variational_bound(self.divergence, self.discriminator(batch.x), self.discriminator(fake))

    def discriminator_loss(self, batch: Batch) -> Tensor:
        return -self.bound(batch)

    def generator_loss(self, batch: Batch) -> Tensor:
        fake = self.discriminator(self.generate(len(batch.x), batch.rng))
        loss = generator_f if self.config.generator == "activation" else generator_f_exact
        return loss(self.divergence, fake)

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        with torch.no_grad():
            return {"divergence_bound": self.bound(batch)}
