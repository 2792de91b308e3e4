"""BiGAN: a generator and a deterministic encoder that must invert each other to fool a discriminator of pairs.

Source      Donahue et al. 2017, "Adversarial Feature Learning", equation 3, with the inverse objective of section
            3.4: generator and encoder descend the discriminator's loss with the labels swapped.
Departures  1. Smaller networks, batch-normed in the discriminator's convolutions only; players take turns.
               `networks="paper"` are those of the authors' code for MNIST without convolutions; on 28x28 pixels the
               others have no dense layers.
            2. On vectors five times the paper's rate; on images a constant one, but for `networks="paper"`.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn

from ganbench.losses.adversarial import discriminator_bce
from ganbench.model import GAN, Batch, DataSpec, Defaults, NonNegative, Player, register
from ganbench.nn import (
    ConditionedGenerator,
    ConditionedMLP,
    JointDiscriminator,
    batch_norm,
    make_encoder,
    make_generator,
)


@register("bigan", family="inference", paper="arXiv:1605.09782", gives=("sample", "encode", "reconstruct"), version=4)
class BiGAN(GAN):
    class Config(GAN.Config):
        batch_size: Annotated[int, Ge(2)] = 128  # batch norm needs two
        weight_decay: NonNegative = 2.5e-5
        mlp_norm: Literal["batch", "none"] = "batch"  # of the coders where they are MLPs; convolutions have batch norm
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
        norm = nn.BatchNorm1d if c.mlp_norm == "batch" else None
        self.generator = make_generator(spec, c, norm and batch_norm(spec, c), dense=False)  # (B, Z) -> (B, *E)
        self.encoder = make_encoder(spec, c, c.latent_dim, mlp_norm=norm)  # (B, *E) -> (B, Z)
        # (B, *E), (B, Z) -> (B,)
        self.discriminator = JointDiscriminator(spec, c, (c.latent_dim,), norm=nn.BatchNorm2d, dense=False)

    def build_paper(self, spec: DataSpec) -> None:
        z = self.config.latent_dim
        self.generator = ConditionedGenerator(spec, z)  # (B, Z) -> (B, *E)
        self.encoder = ConditionedMLP(spec.n_dims, (z,))  # (B, *E) -> (B, Z)
        self.discriminator = ConditionedMLP(spec.n_dims, (), condition=z)  # (B, *E), (B, Z) -> (B,)

    @property
    def schedule(self) -> Callable[[float], float] | None:
        """The paper's: constant for half of the budget, then falling exponentially to a hundredth."""
        return (lambda share: min(1.0, 100 ** (1 - 2 * share))) if self.config.networks == "paper" else super().schedule

    def players(self) -> list[Player]:
        c = self.config
        adam = partial(torch.optim.Adam, lr=c.lr, betas=c.betas, weight_decay=c.weight_decay)
        coders = nn.ModuleList([self.generator, self.encoder])
        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, adam),
            Player("generator and encoder", coders, self.coders_loss, adam),
        ]

    def pairs(self, batch: Batch) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """(x, E(x)) and (G(z), z): -> ((B, *E), (B, Z)), ((B, *E), (B, Z))."""
        z = self.draw_latent(len(batch.x), batch.rng)
        return (batch.x, self.encoder(batch.x)), (self.generator(z), z)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            inferred, generated = self.pairs(batch)
        return discriminator_bce(self.discriminator(*inferred), self.discriminator(*generated))

    def coders_loss(self, batch: Batch) -> Tensor:
        inferred, generated = self.pairs(batch)
        return discriminator_bce(self.discriminator(*generated), self.discriminator(*inferred))  # labels swapped

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def representation(self, x: Tensor) -> Tensor:  # section 4.1, "feature space": the layer below E(x)
        return self.encoder.features(x) if self.config.networks == "paper" else self.encode(x)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.generator(self.encoder(x))
