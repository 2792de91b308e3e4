"""VEEGAN: a reconstructor maps data to the prior and undoes the generator, so that no mode can go unnoticed.

Source      Srivastava et al. 2017, "VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational
            Learning", Algorithm 1: the discriminator tells (G(z), z) from (x, F(x)); the generator moves
            on its mean logit and on |z - F(G(z))|^2.
Departures  1. The reconstructor moves on |z - F(G(z))|^2 alone, as in Algorithm 1; the authors' later code also lets it
               fool the discriminator, which is the option `reconstructor_plays`.
            2. Generator and reconstructor are one player, stepping together; smaller networks.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ganbench.losses.adversarial import discriminator_bce
from ganbench.model import GAN, Batch, Budget, Count, DataSpec, Player, Positive, Recipe, register
from ganbench.nn import JointDiscriminator, make_encoder, make_generator


def published(dataset: str, metric: str, value: float) -> Recipe:
    """A row of the paper's Table 1; its text leaves networks and budget of these runs open."""
    return Recipe(
        dataset=dataset,
        config={"latent_dim": 2},
        budget=Budget(iterations=400_000),
        metric=metric,
        published=value,
        spread="mean of 5 runs",
        protocol="2,500 samples within 3 std of a mode; networks and budget are not printed",
        source="Srivastava et al. 2017, Table 1",
        sure="verified",
    )


@register("veegan", family="inference", paper="arXiv:1705.07761", gives=("sample", "encode", "reconstruct"))
class VEEGAN(GAN):
    @dataclass(frozen=True)
    class Config(GAN.Config):
        batch_size: Count = 200
        latent_dim: Count = 2
        lr: Positive = 1e-3
        reconstructor_plays: bool = False

    config: Config
    on_images = {"latent_dim": 32}
    recipes = (published("ring8", "modes", 8.0), published("grid25", "modes", 24.6))

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.generator = make_generator(spec, c)  # G: (B, Z) -> (B, *E)
        self.reconstructor = make_encoder(spec, c, c.latent_dim)  # F: (B, *E) -> (B, Z)
        self.discriminator = JointDiscriminator(spec, c, (c.latent_dim,))  # (B, *E), (B, Z) -> (B,)

    def players(self) -> list[Player]:
        adam = partial(torch.optim.Adam, lr=self.config.lr, betas=self.config.betas)
        coders = nn.ModuleList([self.generator, self.reconstructor])
        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, adam),
            Player("generator and reconstructor", coders, self.coders_loss, adam),
        ]

    def discriminator_loss(self, batch: Batch) -> Tensor:
        z = self.draw_latent(len(batch.x), batch.rng)
        with torch.no_grad():
            fake, code = self.generator(z), self.reconstructor(batch.x)
        # The paper's discriminator calls generated pairs 1; here, as everywhere, pairs with real events are 1.
        return discriminator_bce(self.discriminator(batch.x, code), self.discriminator(fake, z))

    def coders_loss(self, batch: Batch) -> Tensor:
        z = self.draw_latent(len(batch.x), batch.rng)
        fake = self.generator(z)
        reconstruction = (z - self.reconstructor(fake)).square().sum(1).mean()
        loss = reconstruction - self.discriminator(fake, z).mean()  # the logit itself: log p / q, a divergence
        if self.config.reconstructor_plays:
            loss = loss + self.discriminator(batch.x, self.reconstructor(batch.x)).mean()
        return loss

    def encode(self, x: Tensor) -> Tensor:
        out: Tensor = self.reconstructor(x)
        return out

    def reconstruct(self, x: Tensor) -> Tensor:
        out: Tensor = self.generator(self.reconstructor(x))
        return out
