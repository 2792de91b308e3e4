"""WGAN-LP: a Wasserstein GAN whose critic pays only for slopes above 1, as the Lipschitz condition asks.

Source      Petzka et al. 2018, "On the regularization of Wasserstein GANs", section 5, in WGAN-GP's algorithm.
Departures  1. Networks, batches and settings are those of wgan_gp here.
            2. Lecture notes that leave the excess unsquared are the option `square=False`.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganbench.losses.adversarial import critic_wasserstein, generator_wasserstein
from ganbench.losses.penalties import critic_readings, one_sided_penalty
from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, Fraction, NonNegative, Player, register
from ganbench.nn import make_pair


@register("wgan_1sided", family="adversarial", paper="arXiv:1709.08894", gives=("sample", "features"), version=3)
class WGANLP(GAN):
    class Config(GAN.Config):
        hidden: tuple[Count, ...] = (128, 128, 128)
        betas: tuple[Fraction, Fraction] = (0.5, 0.9)
        n_critic: Count = 5  # critic updates per generator update
        penalty_weight: NonNegative = 1.0  # lambda
        square: bool = True

    config: Config
    defaults = Defaults(image={"latent_dim": 64, "lr": 1e-4, "decay": "none", "penalty_weight": 10.0})
    critic: nn.Module

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.generator, self.critic = make_pair(spec, self.config, "example")  # (B, Z) -> (B, *E) -> (B,)

    def players(self) -> list[Player]:
        return [
            Player("critic", self.critic, self.critic_loss, self.adam, updates=self.config.n_critic),
            Player("generator", self.generator, self.generator_loss, self.adam),
        ]

    def critic_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        c = self.config
        penalty = one_sided_penalty(self.critic, batch.x, fake, batch.rng, square=c.square)
        return critic_wasserstein(self.critic(batch.x), self.critic(fake)) + c.penalty_weight * penalty

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_wasserstein(self.critic(self.generate(len(batch.x), batch.rng)))

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return critic_readings(self.critic, batch.x, fake, batch.rng)
