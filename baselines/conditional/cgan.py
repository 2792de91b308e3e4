"""Conditional GANs on classes: both players see the label; `cgan_matching` also learns that wrong labels are false.

Source      cgan: Mirza and Osindero 2014, "Conditional Generative Adversarial Nets", equation 2. cgan_matching: Reed et
            al. 2016, "Generative Adversarial Text to Image Synthesis", Algorithm 1 (GAN-CLS), with classes as texts.
Departures  1. The generator minimises -log D(G(z, y), y), which does not saturate; latents are normal, not uniform.
            2. The shared networks and Adam: no maxout, no dropout.
Shapes      B batch, Z latent_dim, K classes, F features, *E event shape.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.losses.conditional import discriminator_matching
from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, Fraction, NotApplicable, Split, register
from ganbench.nn import adversarial_generator
from ganbench.nn.conditional import ConditionalDiscriminator, check_classes, one_hot


@register(
    "cgan",
    family="conditional",
    paper="arXiv:1411.1784",
    gives=("sample", "features"),
    needs=("y",),
    version=2,
)
class CGAN(GAN):
    """Conditional GAN: generator and discriminator are both told the class; fakes have the classes of the data."""

    class Config(GAN.Config):
        batch_size: Count = 100

    config: Config
    defaults = Defaults(image={"latent_dim": 100, "lr": 2e-4, "decay": "none"}, small={"lr": 1e-3})
    discriminator: ConditionalDiscriminator
    marginal: Tensor  # (K,) shares of the classes in the training data

    def build(self, spec: DataSpec) -> None:
        if spec.n_classes is None or spec.n_classes < 2:
            has = "has none" if spec.n_classes is None else "has one"
            raise NotApplicable(f"{self.name} draws one of several classes; {spec.name} {has}")
        self.spec, self.n_classes, c = spec, spec.n_classes, self.config
        k = self.n_classes
        self.generator = adversarial_generator(spec, replace(c, latent_dim=c.latent_dim + k))  # (B, Z + K) -> (B, *E)
        self.discriminator = ConditionalDiscriminator(spec, c, k, c.hidden[0])  # (B, *E), (B, K) -> (B,)
        self.register_buffer("marginal", torch.full((k,), 1 / k))

    def start(self, data: Split, rng: torch.Generator) -> None:
        assert data.y is not None
        self.marginal.copy_(torch.bincount(data.y, minlength=self.n_classes) / len(data.y))

    def generate_classes(self, y: Tensor, rng: torch.Generator) -> Tensor:
        """An event of each class, with gradients: (n,) -> (n, *E)."""
        return self.generator(torch.cat([self.draw_latent(len(y), rng), one_hot(y, self.n_classes)], 1))

    def judge(self, x: Tensor, y: Tensor) -> Tensor:
        """Logits of being real and of this class: (B, *E), (B,) -> (B,)."""
        return self.discriminator(x, one_hot(y, self.n_classes))

    def discriminator_loss(self, batch: Batch) -> Tensor:
        assert batch.y is not None
        with torch.no_grad():
            fake = self.generate_classes(batch.y, batch.rng)
        return discriminator_bce(self.judge(batch.x, batch.y), self.judge(fake, batch.y))

    def generator_loss(self, batch: Batch) -> Tensor:
        assert batch.y is not None
        return generator_non_saturating(self.judge(self.generate_classes(batch.y, batch.rng), batch.y))

    def draw_classes(self, n: int, rng: torch.Generator) -> Tensor:
        """Classes with the shares they have in the data: -> (n,) int64."""
        return torch.multinomial(self.marginal, n, replacement=True, generator=rng)

    def sample(self, n: int, rng: torch.Generator, y: Tensor | None = None) -> Tensor:
        """Draw n events of the classes y (n,), or of the data's: -> (n, *E). Raises `BadInput` for no such classes."""
        if y is not None:
            check_classes(y, n, self.n_classes)
        return self.generate_classes(self.draw_classes(n, rng) if y is None else y, rng)


@register(
    "cgan_matching",
    family="conditional",
    paper="arXiv:1605.05396",
    gives=("sample", "features"),
    needs=("y",),
    version=2,
)
class CGANMatching(CGAN):
    """Conditional GAN with matching: a real event under a wrong class is as false as a fake."""

    class Config(CGAN.Config):
        matching_weight: Fraction = 0.5  # of real events with wrong classes; the rest of 1 is that of fakes

    config: Config

    def wrong_classes(self, y: Tensor, rng: torch.Generator) -> Tensor:
        """One of the other classes, uniform: (B,) -> (B,)."""
        return (y + torch.randint(1, self.n_classes, y.shape, generator=rng, device=y.device)) % self.n_classes

    def discriminator_loss(self, batch: Batch) -> Tensor:  # Algorithm 1, lines 7 to 9
        x, y = batch.x, batch.y
        assert y is not None
        with torch.no_grad():
            fake = self.generate_classes(y, batch.rng)
        seen, wrong = self.discriminator.features(x), self.wrong_classes(y, batch.rng)
        real, mismatched = (self.discriminator.match(seen, one_hot(c, self.n_classes)) for c in (y, wrong))
        return discriminator_matching(real, mismatched, self.judge(fake, y), self.config.matching_weight)
