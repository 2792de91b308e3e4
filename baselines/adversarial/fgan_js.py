"""f-GAN, Jensen-Shannon: the generator minimises a bound on twice the Jensen-Shannon divergence.

Source      Nowozin et al. 2016, "f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization",
            equation 6 and table 2: T = log 2 - softplus(-V), f*(T) = softplus(V) - log 2;
            f(u) = u log u - (u + 1) log((u + 1) / 2) gives 2 JS.
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


@register("fgan_js", family="adversarial", paper="arXiv:1606.00709", gives=("sample", "features"), version=3)
class JensenShannonGAN(GAN):
    @dataclass(frozen=True)
    class Config(GAN.Config):
        generator: Literal["activation", "conjugate"] = "activation"

    config: Config
    divergence = DIVERGENCES["js"]

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
