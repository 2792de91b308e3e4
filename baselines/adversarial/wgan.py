"""WGAN: the critic estimates a Wasserstein distance and is kept Lipschitz by clipping its weights after each step.

Source      Arjovsky et al. 2017, "Wasserstein GAN", Algorithm 1; the warm-up of the critic is the authors' code's.
Departures  1. The shared small networks instead of the paper's DCGAN and 4 x 512 units.
            2. On vectors ten times the paper's learning rate and clip, for budgets of some thousand iterations.
            3. Lecture notes that clip the gradient instead of the weights are the option `clips="gradient"`.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganbench.losses.adversarial import critic_wasserstein, generator_wasserstein
from ganbench.losses.penalties import clip_gradient_, clip_weights_, gradient_norms, on_segments
from ganbench.model import GAN, Batch, Count, DataSpec, Player, Positive, register
from ganbench.nn import generator_norm, make_discriminator, make_generator


def warm_up(n_critic: int) -> Callable[[int], int]:
    """100 critic updates in the first 25 iterations and in every 500th, else n_critic."""
    return lambda t: 100 if t < 25 or t % 500 == 0 else n_critic


@register("wgan", family="adversarial", paper="arXiv:1701.07875", gives=("sample", "features"), version=4)
class WGAN(GAN):
    @dataclass(frozen=True)
    class Config(GAN.Config):
        lr: Positive = 5e-4
        n_critic: Count = 5  # critic updates per generator update
        warm_up: bool = False  # train the critic towards optimality first, as the authors' code does
        clip: Positive = 0.1  # c: weights stay in [-c, c]
        clips: Literal["weights", "gradient"] = "weights"

    config: Config
    on_images = {"lr": 5e-5, "clip": 0.01}
    critic: nn.Module

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.generator = make_generator(spec, c, generator_norm(spec, c), dense=False)  # (B, Z) -> (B, *E)
        self.critic = make_discriminator(spec, c, coupled=True, dense=False)  # (B, *E) -> (B,)
        if c.clips == "weights":
            self.clip()  # Algorithm 1 assumes w in [-c, c] from the start

    def players(self) -> list[Player]:
        c = self.config

        def rmsprop(parameters: Any, **fast: Any) -> Optimizer:
            return torch.optim.RMSprop(parameters, lr=c.lr, **fast)

        def rmsprop_clipped(parameters: Any, **fast: Any) -> Optimizer:
            return clip_gradient_(rmsprop(parameters, **fast), c.clip)

        updates = warm_up(c.n_critic) if c.warm_up else c.n_critic
        if c.clips == "weights":
            critic = Player("critic", self.critic, self.critic_loss, rmsprop, updates, self.clip)
        else:
            critic = Player("critic", self.critic, self.critic_loss, rmsprop_clipped, updates)
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
        with torch.no_grad():  # K times a lower bound on the Wasserstein distance, K the critic's Lipschitz constant
            fake = self.generate(len(batch.x), batch.rng)
            estimate = -critic_wasserstein(self.critic(batch.x), self.critic(fake))
        # Where the critic is batch-normed, an example's slope includes what it does to the others.
        slope = gradient_norms(self.critic, on_segments(batch.x, fake, batch.rng)).mean()
        return {"wasserstein_estimate": estimate, "gradient_norm": slope}
