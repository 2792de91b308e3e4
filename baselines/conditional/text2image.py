"""Text to image: a GAN whose players read a caption's code, from a text encoder trained before them on the same data.

Source      Reed et al. 2016, "Generative Adversarial Text to Image Synthesis": Algorithm 1 (GAN-CLS), equation 5
            (GAN-INT, beta = 1/2), equation 2 (encoders).
Departures  1. The text encoder is a GRU; its symmetric loss tells the pairs of a batch apart by cross entropies.
            2. A wrong caption is that of an example of another class: another sentence may say the same.
            3. The caption joins the discriminator after its convolutions; the shared DCGAN pair, at 5 times the rate.
Shapes      B batch, L tokens, D embedding_dim, P projection_dim, Z latent_dim, (C, H, W) image.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from ganbench.losses.adversarial import generator_non_saturating
from ganbench.losses.conditional import discriminator_matching, symmetric_classification
from ganbench.model import (
    Batch,
    Count,
    DataSpec,
    Fraction,
    Model,
    NonNegative,
    NotApplicable,
    Player,
    Positive,
    register,
)
from ganbench.nn import adversarial_generator, make_encoder
from ganbench.nn.conditional import ConditionalDiscriminator
from ganbench.nn.tokens import TokenEncoder, check_tokens


@register(
    "text2image",
    family="conditional",
    paper="arXiv:1605.05396",
    gives=("translate",),
    needs=("cond", "pairs", "y"),
    conditions=("tokens",),
    events=("image",),
    version=2,
)
class Text2Image(Model):
    class Config(Model.Config):
        latent_dim: Count = 100
        embedding_dim: Count = 128
        projection_dim: Count = 128  # of a caption's code in each player
        pretrain: Fraction = 0.2  # share of the budget that the encoders have to themselves
        matching_weight: Fraction = 0.5  # of real images with wrong captions; the rest of 1 is that of fakes
        interpolation_weight: NonNegative = 1.0  # of fakes between two captions, in the generator's loss alone
        architecture: Literal["auto", "mlp", "conv"] = "auto"  # auto: conv from 16 pixels on
        hidden: tuple[Count, ...] = (128, 128)  # widths of MLPs
        width: Count = 32  # filters of the convolutions next to the image
        lr: Positive = 1e-3
        betas: tuple[Fraction, Fraction] = (0.5, 0.999)
        encoder_lr: Positive = 1e-3

    config: Config

    def build(self, spec: DataSpec) -> None:
        c, cond = self.config, spec.cond
        if not spec.is_image or cond is None or cond.kind != "tokens" or cond.vocabulary is None or not cond.paired:
            raise NotApplicable(f"text2image learns from images with captions of known words; {spec.name} has none")
        if spec.n_classes is None or spec.n_classes < 2:
            raise NotApplicable(f"text2image takes wrong captions from other classes; {spec.name} has none")
        self.spec, self.cond = spec, cond
        self.text_encoder = TokenEncoder(cond.vocabulary, c.embedding_dim)  # (B, L) -> (B, D)
        self.image_encoder = make_encoder(spec, c, c.embedding_dim)  # (B, C, H, W) -> (B, D)
        self.projection = nn.Sequential(nn.Linear(c.embedding_dim, c.projection_dim), nn.LeakyReLU(0.2))
        sizes = replace(c, latent_dim=c.latent_dim + c.projection_dim)
        self.generator = adversarial_generator(spec, sizes)  # (B, Z + P) -> (B, C, H, W)
        self.discriminator = ConditionalDiscriminator(spec, c, c.embedding_dim, c.projection_dim)

    def players(self) -> list[Player]:
        c = self.config
        encoders = nn.ModuleList([self.text_encoder, self.image_encoder])
        generator = nn.ModuleList([self.projection, self.generator])
        first = partial(torch.optim.Adam, lr=c.encoder_lr)
        adam = partial(torch.optim.Adam, lr=c.lr, betas=c.betas)
        then = (c.pretrain, 1.0)
        return [
            Player("encoders", encoders, self.encoder_loss, first, span=(0.0, c.pretrain)),
            Player("discriminator", self.discriminator, self.discriminator_loss, adam, span=then),
            Player("generator", generator, self.generator_loss, adam, span=then),
        ]

    def encoder_loss(self, batch: Batch) -> Tensor:
        assert batch.cond is not None
        return symmetric_classification(self.image_encoder(batch.x) @ self.text_encoder(batch.cond).t())

    def code(self, cond: Tensor) -> Tensor:
        """The text encoder's code, which the GAN takes as it is: (B, L) -> (B, D)."""
        with torch.no_grad():
            return self.text_encoder(cond)

    def generate(self, code: Tensor, rng: torch.Generator) -> Tensor:
        """An image for each code, with gradients: (B, D) -> (B, C, H, W)."""
        z = torch.randn(len(code), self.config.latent_dim, generator=rng, device=rng.device)
        return self.generator(torch.cat([z, self.projection(code)], 1))

    def discriminator_loss(self, batch: Batch) -> Tensor:  # Algorithm 1, lines 3 to 9
        assert batch.cond is not None
        assert batch.y is not None
        code = self.code(batch.cond)
        with torch.no_grad():
            fake = self.generate(code, batch.rng)
        other, there = others(batch.y, batch.rng)
        seen = self.discriminator.features(batch.x)
        real, wrong = self.discriminator.match(seen, code), self.discriminator.match(seen, code[other])
        wrong = wrong.masked_fill(~there, -torch.inf)  # whose loss is 0
        return discriminator_matching(real, wrong, self.discriminator(fake, code), self.config.matching_weight)

    def generator_loss(self, batch: Batch) -> Tensor:  # line 11, and equation 5
        assert batch.cond is not None
        code, weight = self.code(batch.cond), self.config.interpolation_weight
        loss = self.fooling(code, batch.rng)
        if weight == 0:
            return loss
        return loss + weight * self.fooling((code + code.roll(1, 0)) / 2, batch.rng)  # rows stand in random order

    def fooling(self, code: Tensor, rng: torch.Generator) -> Tensor:
        """What the generator minimises over fakes of these codes: (B, D) -> ()."""
        return generator_non_saturating(self.discriminator(self.generate(code, rng), code))

    def translate(self, cond: Tensor, rng: torch.Generator) -> Tensor:
        """An image for each caption: (B, L) -> (B, C, H, W). Raises `BadInput` for what is no caption of the data."""
        check_tokens(cond, self.cond)
        return self.generate(self.code(cond), rng)


def others(y: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """A row of another class for each, uniform among those of the batch, and if there is one: (B,) -> (B,), (B,)."""
    differ = y[:, None] != y[None, :]
    draw = torch.rand(differ.shape, generator=rng, device=rng.device).masked_fill(~differ, -1)
    return draw.argmax(1), differ.any(1)
