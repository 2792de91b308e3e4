"""Attribute editing: a conditional GAN on attributes, then encoders of code and attributes that invert its generator.

Source      Perarnau et al. 2016, "Invertible Conditional GANs for image editing" (IcGAN), section 3: equations 1 to 3;
            wrong attributes count half of what is false, as in the authors' code.
Departures  1. The encoders learn after the GAN in one run; Adam's rate and momenta are the GAN's for both.
            2. Attributes join the discriminator after its convolutions; the shared DCGAN pair.
Shapes      B batch, Z latent_dim, A attributes of -1 and 1, *E event shape.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

import torch
from annotated_types import Gt, Lt
from torch import Tensor

from ganbench.losses.adversarial import generator_non_saturating
from ganbench.losses.conditional import discriminator_matching
from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, Fraction, NotApplicable, Player, Positive, register
from ganbench.nn import adversarial_generator, make_encoder
from ganbench.nn.conditional import ConditionalDiscriminator, check_attributes


@register(
    "attr_edit",
    family="conditional",
    paper="arXiv:1611.06355",
    gives=("translate", "reconstruct", "edit"),
    needs=("cond", "pairs"),
    conditions=("attributes",),
    events=("image",),
    version=2,
)
class AttributeEditor(GAN):
    class Config(GAN.Config):
        latent_dim: Count = 100
        gan_share: Annotated[float, Gt(0), Lt(1)] = 0.6  # of the budget, before the encoders learn
        matching_weight: Fraction = 0.5  # of real images with wrong attributes; the rest of 1 is that of fakes
        attribute_width: Count = 64  # units of the discriminator that see attributes alone
        encoder_lr: Positive = 1e-3

    config: Config
    defaults = Defaults(image={"latent_dim": 100, "lr": 5e-4, "decay": "none"})
    discriminator: ConditionalDiscriminator

    def build(self, spec: DataSpec) -> None:
        if spec.cond is None or spec.cond.kind != "attributes" or not spec.cond.paired:
            raise NotApplicable(
                f"{self.name} edits attributes of images that are labelled with them; {spec.name} has none"
            )
        self.spec, self.cond, c = spec, spec.cond, self.config
        (a,) = spec.cond.shape
        self.generator = adversarial_generator(spec, replace(c, latent_dim=c.latent_dim + a))  # (B, Z + A) -> (B, *E)
        self.discriminator = ConditionalDiscriminator(spec, c, a, c.attribute_width)  # (B, *E), (B, A) -> (B,)
        self.code_encoder = make_encoder(spec, c, c.latent_dim)  # E_z: (B, *E) -> (B, Z)
        self.attribute_encoder = make_encoder(spec, c, a)  # E_y: (B, *E) -> (B, A)

    def players(self) -> list[Player]:
        c = self.config
        adam, slow = (partial(torch.optim.Adam, lr=lr, betas=c.betas) for lr in (c.lr, c.encoder_lr))
        first, then = (0.0, c.gan_share), (c.gan_share, 1.0)
        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, adam, span=first),
            Player("generator", self.generator, self.generator_loss, adam, span=first),
            Player("code encoder", self.code_encoder, self.code_loss, slow, span=then),
            Player("attribute encoder", self.attribute_encoder, self.attribute_loss, slow, span=then),
        ]

    def make(self, z: Tensor, attributes: Tensor) -> Tensor:
        """Images of codes with attributes: (B, Z), (B, A) -> (B, *E)."""
        out: Tensor = self.generator(torch.cat([z, attributes], 1))
        return out

    def discriminator_loss(self, batch: Batch) -> Tensor:  # equation 1
        x, y = batch.x, batch.cond
        assert y is not None
        with torch.no_grad():
            fake = self.make(self.draw_latent(len(x), batch.rng), y)
        seen, wrong = self.discriminator.features(x), y.roll(1, 0)  # rows stand in random order
        real, mismatched = self.discriminator.match(seen, y), self.discriminator.match(seen, wrong)
        mismatched = mismatched.masked_fill((wrong == y).all(1), -torch.inf)  # not wrong at all; its loss is 0
        return discriminator_matching(real, mismatched, self.discriminator(fake, y), self.config.matching_weight)

    def generator_loss(self, batch: Batch) -> Tensor:
        assert batch.cond is not None
        fake = self.make(self.draw_latent(len(batch.x), batch.rng), batch.cond)
        return generator_non_saturating(self.discriminator(fake, batch.cond))

    def code_loss(self, batch: Batch) -> Tensor:  # equation 2: on generated images, whose codes are known
        assert batch.cond is not None
        z = self.draw_latent(len(batch.x), batch.rng)
        with torch.no_grad():
            fake = self.make(z, batch.cond)
        return (z - self.code_encoder(fake)).square().mean()

    def attribute_loss(self, batch: Batch) -> Tensor:  # equation 3: on real images, whose attributes are known
        assert batch.cond is not None
        return (batch.cond - self.attribute_encoder(batch.x)).square().mean()

    def translate(self, cond: Tensor, rng: torch.Generator) -> Tensor:
        check_attributes(cond, len(cond), self.cond)
        return self.make(self.draw_latent(len(cond), rng), cond)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.make(self.code_encoder(x), torch.where(self.attribute_encoder(x) > 0, 1.0, -1.0))

    def edit(self, x: Tensor, attributes: Tensor, rng: torch.Generator) -> Tensor:
        check_attributes(attributes, len(x), self.cond)
        return self.make(self.code_encoder(x), attributes)
