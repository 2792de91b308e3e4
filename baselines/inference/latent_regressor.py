"""Latent regressor: a GAN, and an encoder that learns to read the latent off the generator's own samples.

Source      Donahue et al. 2017, "Adversarial Feature Learning", section 4.1 (LR): the encoder learns beside the GAN,
            which never sees it. `generator_weight=0.25` is Joint LR as the authors' code has it: the generator
            descends the encoder's loss too. Also a baseline of Dumoulin et al. 2017 (ALI).
Departures  1. min_E E |z - E(G(z))|^2, where the paper takes a sigmoid cross entropy to its uniform latents.
            2. Smaller networks and BiGAN's settings without weight decay (the recipe has it); `networks="paper"` are
               those of the authors' code for MNIST without convolutions, with its learning rate.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, NonNegative, Player, register
from ganbench.nn import ConditionedGenerator, ConditionedMLP, make_encoder, make_pair


@register(
    "latent_regressor",
    family="inference",
    paper="arXiv:1605.09782",
    gives=("sample", "encode", "reconstruct"),
    version=3,
)
class LatentRegressor(GAN):
    class Config(GAN.Config):
        batch_size: Count = 128
        weight_decay: NonNegative = 0.0
        generator_weight: NonNegative = 0.0  # of the encoder's loss in the generator's; 0.25 in Joint LR
        networks: Literal["shared", "paper"] = "shared"

    config: Config
    prior = "uniform"
    encoder: Any
    defaults = Defaults(image={"latent_dim": 50, "lr": 2e-4, "decay": "none"})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        if c.networks == "paper":
            self.build_paper(spec)
            return
        self.generator, self.discriminator = make_pair(spec, c)  # (B, Z) -> (B, *E) -> (B,)
        self.encoder = make_encoder(spec, c, c.latent_dim)  # (B, *E) -> (B, Z)

    def build_paper(self, spec: DataSpec) -> None:
        z = self.config.latent_dim
        self.generator = ConditionedGenerator(spec, z)  # (B, Z) -> (B, *E)
        self.discriminator = ConditionedMLP(spec.n_dims, ())  # (B, *E) -> (B,)
        self.encoder = ConditionedMLP(spec.n_dims, (z,))  # (B, *E) -> (B, Z)

    @property
    def schedule(self) -> Callable[[float], float] | None:
        """The paper's: constant for half of the budget, then falling exponentially to a hundredth."""
        return (lambda share: min(1.0, 100 ** (1 - 2 * share))) if self.config.networks == "paper" else super().schedule

    def players(self) -> list[Player]:
        c = self.config
        adam = partial(torch.optim.Adam, lr=c.lr, betas=c.betas, weight_decay=c.weight_decay)
        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, adam),
            Player("generator", self.generator, self.generator_loss, adam),
            Player("encoder", self.encoder, self.encoder_loss, adam),
        ]

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        z = self.draw_latent(len(batch.x), batch.rng)
        fake = self.generator(z)
        loss = generator_non_saturating(self.discriminator(fake))
        return loss + self.config.generator_weight * self.regression(z, fake) if self.config.generator_weight else loss

    def regression(self, z: Tensor, fake: Tensor) -> Tensor:
        """Squared distance of E(G(z)) from z: (B, Z), (B, *E) -> ()."""
        return (z - self.encoder(fake)).square().sum(1).mean()

    def encoder_loss(self, batch: Batch) -> Tensor:
        z = self.draw_latent(len(batch.x), batch.rng)
        with torch.no_grad():
            fake = self.generator(z)
        return self.regression(z, fake)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def representation(self, x: Tensor) -> Tensor:  # section 4.1, "feature space": the layer below E(x)
        return self.encoder.features(x) if self.config.networks == "paper" else self.encode(x)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.generator(self.encoder(x))
