"""Unrolled GAN: the generator plays against the discriminator that would answer it after k more steps.

Source      Metz et al. 2017, "Unrolled Generative Adversarial Networks", equations 7 to 10, k = 5.
Departures  1. The shared small networks and learning rates; `networks="paper"` are those of the authors' mixtures, the
               architectures `stacked_half` and `stacked_quarter` those of their stacked MNIST.
            2. The generator descends the unrolled value itself, as the paper writes it; `generator="non_saturating"`
               takes -E log D_k(G(z)) at the same unrolled discriminator.
            3. The shared convolutions have no batch norm in the discriminator, whose running moments unrolled steps
               would move, and no dense layers. With both, MNIST gave one image on each of three seeds: the
               discriminator's loss fell to 0.01, and the unrolled value saturates where it wins. Without, it comes
               back from there and stays near 1.2, and the samples are digits (Frechet distance 10.8; one seed).
Known       With the networks, rates and batches of the authors' stacked MNIST the discriminator's loss falls to zero
            within 1,500 iterations on MNIST.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Adam

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.losses.unroll import unroll
from ganbench.model import GAN, Batch, DataSpec, NotApplicable, Player, Positive, register
from ganbench.nn import (
    NAMED,
    generator_norm,
    make_discriminator,
    make_generator,
    mlp_discriminator,
    mlp_generator,
)


@register("unrolled", family="adversarial", paper="arXiv:1611.02163", gives=("sample", "features"), version=4)
class UnrolledGAN(GAN):
    @dataclass(frozen=True)
    class Config(GAN.Config):
        k: Annotated[int, Ge(0)] = 5  # unrolled steps of the discriminator
        generator: Literal["value", "non_saturating"] = "value"
        networks: Literal["shared", "paper"] = "shared"
        discriminator_lr: Positive | None = None  # None: as the generator's

    config: Config
    optimizer: Adam | None = None  # the discriminator's, whose steps are unrolled

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        if c.networks == "shared":
            norm, coupled = generator_norm(spec, c), c.architecture in NAMED  # those of a paper have their own norms
            self.generator = make_generator(spec, c, norm, dense=False)  # (B, Z) -> (B, *E)
            self.discriminator = make_discriminator(spec, c, coupled=coupled, dense=False)  # (B, *E) -> (B,)
            return
        if spec.is_image:
            raise NotApplicable("networks='paper' are the mixtures' networks and take vectors; use 'shared'")
        self.generator = mlp_generator(spec, c.latent_dim, c.hidden, activation=nn.Tanh)
        self.discriminator = mlp_discriminator(spec, c.hidden, activation=nn.Tanh)
        for layer in (*self.generator.modules(), *self.discriminator.modules()):
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight, 1.4)
                nn.init.zeros_(layer.bias)

    def players(self) -> list[Player]:
        c = self.config

        def adam(parameters: Any, **fast: Any) -> Adam:
            return Adam(parameters, lr=c.lr, betas=c.betas, **fast)

        def remembered(parameters: Any, **fast: Any) -> Adam:
            self.optimizer = Adam(parameters, lr=c.discriminator_lr or c.lr, betas=c.betas, **fast)
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
