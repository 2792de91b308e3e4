"""Code arithmetic: a GAN's codes with an attribute, minus those without it, point to where the attribute is.

Source      Radford et al. 2016, "Unsupervised Representation Learning with DCGANs", section 6.3.2: mean codes of images
            that look alike, added and subtracted.
Departures  1. A reader picks the images of an attribute, trained on the data's attributes, where the paper's authors
               did; it picks among `n_codes` draws, not three, and also reads codes, which the paper does not need.
            2. The shared pair with normal latents.
Shapes      B batch, N codes, Z latent_dim, A attributes of -1 and 1, *E event shape.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Gt, Lt
from torch import Tensor

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import GAN, Batch, Count, DataSpec, NotApplicable, Player, Positive, Split, register
from ganbench.nn import make_encoder, make_pair
from ganbench.nn.conditional import check_attributes


@register(
    "code_arith",
    family="conditional",
    paper="arXiv:1511.06434",
    gives=("sample", "features", "reconstruct", "edit"),
    needs=("cond", "pairs"),
    conditions=("attributes",),
    events=("image",),
)
class CodeArithmetic(GAN):
    class Config(GAN.Config):
        batch_size: Count = 128
        gan_share: Annotated[float, Gt(0), Lt(1)] = 0.7  # of the budget, before the reader learns
        reader_lr: Positive = 1e-3
        n_codes: Count = 2000  # whose images the reader sorts by attribute

    config: Config
    directions: Tensor  # (A, Z) from the mean code without an attribute to the one with it

    def build(self, spec: DataSpec) -> None:
        if spec.cond is None or spec.cond.kind != "attributes" or not spec.cond.paired:
            raise NotApplicable(
                f"{self.name} edits attributes of images that are labelled with them; {spec.name} has none"
            )
        self.spec, self.cond, c = spec, spec.cond, self.config
        (n_attributes,) = spec.cond.shape
        self.generator, self.discriminator = make_pair(spec, c)  # (B, Z) -> (B, *E) -> (B,)
        self.reader = make_encoder(spec, c, c.latent_dim + n_attributes)  # (B, *E) -> (B, Z + A): code, logits
        self.register_buffer("directions", torch.zeros(n_attributes, c.latent_dim))

    def players(self) -> list[Player]:
        c = self.config
        first, then = (0.0, c.gan_share), (c.gan_share, 1.0)
        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, self.adam, span=first),
            Player("generator", self.generator, self.generator_loss, self.adam, span=first),
            Player("reader", self.reader, self.reader_loss, partial(torch.optim.Adam, lr=c.reader_lr), span=then),
        ]

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_non_saturating(self.discriminator(self.generate(len(batch.x), batch.rng)))

    def read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Code and logits of the attributes: (B, *E) -> (B, Z), (B, A)."""
        out = self.reader(x)
        return out[:, : self.config.latent_dim], out[:, self.config.latent_dim :]

    def reader_loss(self, batch: Batch) -> Tensor:
        """Attributes are learnt from real images, codes from the generator's."""
        assert batch.cond is not None
        z = self.draw_latent(len(batch.x), batch.rng)
        with torch.no_grad():
            fake = self.generator(z)
        _, logits = self.read(batch.x)
        code, _ = self.read(fake)
        return F.softplus(-batch.cond * logits).mean() + (code - z).square().mean()

    def finish(self, data: Split, rng: torch.Generator) -> None:
        z = self.draw_latent(self.config.n_codes, rng)
        _, logits = self.read(self.generator(z))
        self.directions.copy_(directions(z, logits > 0))

    def reconstruct(self, x: Tensor) -> Tensor:
        code, _ = self.read(x)
        out: Tensor = self.generator(code)
        return out

    def edit(self, x: Tensor, attributes: Tensor, rng: torch.Generator) -> Tensor:
        """Adds the directions of what x lacks, and takes away those of what it should not have."""
        check_attributes(attributes, len(x), self.cond)
        code, logits = self.read(x)
        has = torch.where(logits > 0, 1.0, -1.0)
        out: Tensor = self.generator(code + (attributes - has) / 2 @ self.directions)
        return out


def directions(z: Tensor, has: Tensor) -> Tensor:
    """Mean code with each attribute minus the mean code without it: (N, Z), (N, A) bool -> (A, Z).

    0 for an attribute that all have, or none.
    """
    there, total = has.to(z), z.sum(0)
    counts = there.sum(0)[:, None]  # (A, 1)
    sums = there.T @ z
    found = sums / counts.clamp_min(1) - (total - sums) / (len(z) - counts).clamp_min(1)
    return torch.where((counts > 0) & (counts < len(z)), found, 0)
