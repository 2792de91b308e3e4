"""WGAN: the critic estimates a Wasserstein distance and is kept Lipschitz by clipping its weights after each step.

Source      Arjovsky et al. 2017, "Wasserstein GAN", Algorithm 1; the warm-up of the critic is the authors' code's.
Departures  1. The shared small networks instead of the paper's DCGAN and 4 x 512 units; none dense on 28x28 pixels.
            2. On vectors ten times the paper's learning rate and clip, for budgets of some thousand iterations; 8x8
               images have those of images, though their critic is an MLP.
            3. Lecture notes that clip the gradient instead of the weights are the option `clips="gradient"`.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from ganbench.losses.adversarial import critic_wasserstein, generator_wasserstein
from ganbench.losses.penalties import clip_weights_, critic_readings, gradient_clamped
from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, Player, Positive, register
from ganbench.nn import make_pair


def warm_up(n_critic: int) -> Callable[[int], int]:
    """100 critic updates in the first 25 iterations and in every 500th, else n_critic."""
    return lambda t: 100 if t < 25 or t % 500 == 0 else n_critic


@register("wgan", family="adversarial", paper="arXiv:1701.07875", gives=("sample", "features"), version=4)
class WGAN(GAN):
    class Config(GAN.Config):
        lr: Positive = 5e-4
        n_critic: Count = 5  # critic updates per generator update
        warm_up: bool = False  # train the critic towards optimality first, as the authors' code does
        clip: Positive = 0.1  # c: weights stay in [-c, c]
        clips: Literal["weights", "gradient"] = "weights"

    config: Config
    defaults = Defaults(image={"latent_dim": 64, "lr": 5e-5, "decay": "none", "clip": 0.01})
    critic: nn.Module

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.generator, self.critic = make_pair(spec, c, dense=False)  # (B, Z) -> (B, *E) -> (B,)
        if c.clips == "weights":
            self.clip()  # Algorithm 1 assumes w in [-c, c] from the start

    def players(self) -> list[Player]:
        c = self.config
        rmsprop = partial(torch.optim.RMSprop, lr=c.lr)
        updates = warm_up(c.n_critic) if c.warm_up else c.n_critic
        critic = Player("critic", self.critic, self.critic_loss, rmsprop, updates, self.clip)
        if c.clips == "gradient":
            critic = replace(critic, optimizer=gradient_clamped(rmsprop, c.clip), after=None)
        return [critic, Player("generator", self.generator, self.generator_loss, rmsprop)]

    def critic_loss(self, batch: Batch) -> Tensor:  # Algorithm 1, line 5
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return critic_wasserstein(self.critic(batch.x), self.critic(fake))

    def clip(self) -> None:  # line 7
        clip_weights_(self.critic, self.config.clip)

    def generator_loss(self, batch: Batch) -> Tensor:  # line 10
        return generator_wasserstein(self.critic(self.generate(len(batch.x), batch.rng)))

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return critic_readings(self.critic, batch.x, fake, batch.rng)
