"""Unrolled GAN: the generator plays against the discriminator that would answer it after k more steps.

Source      Metz et al. 2017, "Unrolled Generative Adversarial Networks", equations 7 to 10, k = 5.
Departures  1. The shared small networks and learning rates; leaky ReLU in the discriminator.
            2. The generator descends the unrolled value itself, as the paper writes it; `generator="non_saturating"`
               takes -E log D_k(G(z)) at the same unrolled discriminator.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge
from torch import Tensor
from torch.func import functional_call
from torch.optim import Adam

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.losses.unroll import unroll
from ganbench.model import GAN, Batch, Player, register


@register("unrolled", family="adversarial", paper="arXiv:1611.02163", gives=("sample", "features"))
class UnrolledGAN(GAN):
    @dataclass(frozen=True)
    class Config(GAN.Config):
        k: Annotated[int, Ge(0)] = 5  # unrolled steps of the discriminator
        generator: Literal["value", "non_saturating"] = "value"

    config: Config
    optimizer: Adam | None = None  # the discriminator's, whose steps are unrolled

    def players(self) -> list[Player]:
        c = self.config

        def adam(parameters: Any, **fast: Any) -> Adam:
            return Adam(parameters, lr=c.lr, betas=c.betas, **fast)

        def remembered(parameters: Any, **fast: Any) -> Adam:
            self.optimizer = adam(parameters, **fast)
            return self.optimizer

        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, remembered),
            Player("generator", self.generator, self.generator_loss, adam),
        ]

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        real, fake = batch.x, self.generate(len(batch.x), batch.rng)

        def logits(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
            out: Tensor = functional_call(self.discriminator, parameters, (x,))
            return out

        def loss(parameters: dict[str, Tensor]) -> Tensor:
            return discriminator_bce(logits(parameters, real), logits(parameters, fake))

        after = unroll(self.discriminator, self.optimizer, loss, self.config.k)  # equations 7 and 8
        if self.config.generator == "value":
            return -loss(after)  # equation 10: the real term too depends on G, through the discriminator's steps
        return generator_non_saturating(logits(after, fake))
