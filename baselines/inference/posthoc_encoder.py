"""Post-hoc encoder: a GAN is trained and frozen; then an encoder plays ALI's game against a new discriminator of pairs.

Source      Dumoulin et al. 2017, "Adversarially Learned Inference", section 4 (post-hoc learned inference):
            Algorithm 1 with the generator held fixed.
Departures  1. The GAN takes the first `gan_share` of the budget, the encoder and its discriminator the rest;
               where learning rates fall to 0, they do so in each phase.
            2. Smaller networks; batch norm in the discriminators' convolutions, dropout nowhere.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
from annotated_types import Gt, Lt
from torch import Tensor, nn

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.losses.likelihoods import gaussian_draw
from ganbench.model import GAN, Batch, Count, DataSpec, Player, register
from ganbench.nn import JointDiscriminator, make_encoder, make_pair


@register(
    "posthoc_encoder",
    family="inference",
    paper="arXiv:1606.00704",
    gives=("sample", "encode", "reconstruct"),
    version=4,
)
class PosthocEncoder(GAN):
    class Config(GAN.Config):
        batch_size: Count = 100
        gan_share: Annotated[float, Gt(0), Lt(1)] = 0.5  # of the budget, before the generator is frozen

    config: Config

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.generator, self.discriminator = make_pair(spec, c)  # (B, Z) -> (B, *E) -> (B,)
        self.encoder = make_encoder(spec, c, 2 * c.latent_dim)  # (B, *E) -> (B, 2 Z): mean and log variance of q(z | x)
        # (B, *E), (B, Z) -> (B,)
        self.joint_discriminator = JointDiscriminator(spec, c, (c.latent_dim,), norm=nn.BatchNorm2d)

    def players(self) -> list[Player]:
        c = self.config
        first: dict[str, Any] = {"span": (0.0, c.gan_share)}
        then: dict[str, Any] = {"span": (c.gan_share, 1.0)}
        if (decay := self.schedule) is not None:  # each phase is a training of its own, whose rates fall to 0
            first["schedule"] = lambda share: decay(share / c.gan_share)
            then["schedule"] = lambda share: decay((share - c.gan_share) / (1 - c.gan_share))
        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, self.adam, **first),
            Player("generator", self.generator, self.generator_loss, self.adam, **first),
            Player("joint discriminator", self.joint_discriminator, self.joint_loss, self.adam, **then),
            Player("encoder", self.encoder, self.encoder_loss, self.adam, **then),
        ]

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_non_saturating(self.discriminator(self.generate(len(batch.x), batch.rng)))

    def infer(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """z ~ q(z | x), reparametrised: (B, *E) -> (B, Z)."""
        return gaussian_draw(*self.encoder(x).chunk(2, 1), rng=rng)

    def joint_loss(self, batch: Batch) -> Tensor:
        z = self.draw_latent(len(batch.x), batch.rng)
        with torch.no_grad():
            fake, code = self.generator(z), self.infer(batch.x, batch.rng)
        return discriminator_bce(self.joint_discriminator(batch.x, code), self.joint_discriminator(fake, z))

    def encoder_loss(self, batch: Batch) -> Tensor:
        # Pairs from the frozen generator do not depend on the encoder: its term is that of a generator of codes, with
        # the label swapped: softplus(V) = -log(1 - D) at its own pairs, which count as real.
        return generator_non_saturating(-self.joint_discriminator(batch.x, self.infer(batch.x, batch.rng)))

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).chunk(2, dim=1)[0]

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.generator(self.encode(x))
