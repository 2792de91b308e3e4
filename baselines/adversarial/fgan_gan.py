"""f-GAN, GAN: the original objective, 2 JS - log 4, as one of its kind.

Source      Nowozin et al. 2016, "f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization",
            equation 6 and table 2: T = -softplus(-V), f*(T) = softplus(V);
            the cross-entropy of gan_ns, the heuristic its generator.
Departures  1. The shared small networks and batches instead of the paper's batch of 4096.
            2. The generator climbs E g_f(V(G(z))), which section 3.2 prefers as faster (it is the
               non-saturating trick); Algorithm 1's own -E f*(g_f(V(G(z)))) is the option `generator="conjugate"`.
Shapes      B batch, Z latent_dim, *E event shape; V is the discriminator's output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ganbench.losses.divergences import DIVERGENCES, generator_f, generator_f_exact, variational_bound
from ganbench.model import GAN, Batch, register


@register("fgan_gan", family="adversarial", paper="arXiv:1606.00709", gives=("sample", "features"), version=3)
class OriginalFGAN(GAN):
    @dataclass(frozen=True)
    class Config(GAN.Config):
        generator: Literal["activation", "conjugate"] = "activation"

    config: Config
    divergence = DIVERGENCES["gan"]

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
