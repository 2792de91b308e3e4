"""Unrolled GAN: the generator plays against the discriminator that would answer it after k more steps.

Source      Metz et al. 2017, "Unrolled Generative Adversarial Networks", equations 7 to 10, k = 5.
Departures  1. The shared small networks and rates; `networks="paper"` are those of the authors' mixtures, the
               architectures `stacked_half` and `stacked_quarter` those of their stacked MNIST.
            2. `generator="non_saturating"` takes -E log D_k(G(z)) in place of the unrolled value itself.
            3. The shared convolutions have no dense layers, and but for `judge_norm="batch"` no norm in the judge:
               with both it won. Players take turns; the authors' notebook moves both from the same point.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge
from torch import Tensor
from torch.func import functional_call
from torch.optim import Adam

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.losses.unroll import unroll
from ganbench.model import GAN, Batch, DataSpec, Player, Positive, register
from ganbench.nn import make_pair
from ganbench.nn.moments import without_trace
from ganbench.nn.papers import unrolled_mixtures


@register("unrolled", family="adversarial", paper="arXiv:1611.02163", gives=("sample", "features"), version=4)
class UnrolledGAN(GAN):
    class Config(GAN.Config):
        k: Annotated[int, Ge(0)] = 5  # unrolled steps of the discriminator
        generator: Literal["value", "non_saturating"] = "value"
        networks: Literal["shared", "paper"] = "shared"
        judge_norm: Literal["none", "batch"] = "none"  # in the shared convolutions of the discriminator
        discriminator_lr: Positive | None = None  # None: as the generator's

    config: Config
    optimizer: Adam | None = None  # the discriminator's, whose steps are unrolled

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        if c.networks == "paper":
            self.generator, self.discriminator = unrolled_mixtures(spec, c.latent_dim, c.hidden)
        else:
            # (B, Z) -> (B, *E) -> (B,)
            self.generator, self.discriminator = make_pair(spec, c, c.judge_norm, dense=False)

    def players(self) -> list[Player]:
        c = self.config
        discriminator, generator = super().players()

        def remembered(parameters: Any, **fast: Any) -> Adam:
            self.optimizer = Adam(parameters, lr=c.discriminator_lr or c.lr, betas=c.betas, **fast)
            return self.optimizer

        return [replace(discriminator, optimizer=remembered), generator]

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        real, fake = batch.x, self.generate(len(batch.x), batch.rng)

        def logits(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
            return functional_call(self.discriminator, parameters, (x,))

        def loss(parameters: dict[str, Tensor]) -> Tensor:
            return discriminator_bce(logits(parameters, real), logits(parameters, fake))

        with without_trace(self.discriminator):  # steps that are not taken leave no trace in running moments
            after = unroll(self.discriminator, self.optimizer, loss, self.config.k)  # equations 7 and 8
            if self.config.generator == "value":
                return -loss(after)  # equation 10: the real term too depends on G, through the discriminator's steps
            return generator_non_saturating(logits(after, fake))
