"""DCGAN: the convolutional pair with batch norm that made GANs train on images, on the non-saturating loss.

Source      Radford et al. 2016, "Unsupervised Representation Learning with Deep Convolutional GANs", section 3 and 4.
Departures  1. 32 filters next to the image instead of 64; images of 8 to 64 pixels, with as many layers as fit.
            2. `architecture` also names networks of later studies, whose latents are Gaussian but for `stacked`.
Shapes      B batch, Z latent_dim, C H W image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import GAN, Batch, Budget, Count, DataSpec, Player, Positive, Recipe, register
from ganbench.nn import (
    ROBUSTNESS,
    DCGANDiscriminator,
    DCGANGenerator,
    Robustness,
    Stacked,
    hidden_layers,
    pooled,
)

METZ = "Metz et al. 2017 (unrolled GANs), in Lin et al. 2018 (PacGAN), table 3"
RERUN = "rerun in Lin et al. 2018 (PacGAN), table 3"
# Stacked MNIST: label -> modes, KL, their spreads, source. PacGAN's rerun of the first, which moves the generator
# twice, is `pacgan` with m = 1.
STACKED = (
    ("paper", 99.0, 3.4, "", "", "Srivastava et al. 2017 (VEEGAN), table 2"),
    ("paper quarter D", 30.6, 5.99, "+-20.73", "+-0.42", METZ),
    ("paper quarter D", 78.5, 5.21, "+-17.56", "+-0.19", RERUN),
    ("paper half D", 628.0, 2.58, "+-140.9", "+-0.75", METZ),
    ("paper half D", 487.7, 2.24, "", "", RERUN),
)


def stacked_recipes() -> Iterator[Recipe]:
    """DCGAN as VEEGAN and unrolled GANs compare themselves with it, in the settings of PacGAN's code."""
    veegan = {"architecture": "stacked", "batch_size": 64, "latent_dim": 100, "lr": 2e-4}
    small = {"batch_size": 128, "latent_dim": 256, "lr": 1e-4, "discriminator_lr": 2e-4, "betas": (0.5, 0.99)}
    settings = {
        "paper": (veegan, 100_000),
        "paper quarter D": (small | {"architecture": "stacked_quarter"}, 500_000),
        "paper half D": (small | {"architecture": "stacked_half"}, 500_000),
    }
    for label, modes, kl, modes_spread, kl_spread, source in STACKED:
        config, iterations = settings[label]
        for name, value, spread in (("", modes, modes_spread), ("_reverse_kl", kl, kl_spread)):
            yield Recipe(
                dataset="stacked_mnist",
                config=config,
                budget=Budget(iterations=iterations),
                metric=f"classified_modes{name}",
                published=value,
                spread=spread or "mean",
                protocol="26,000 samples (25,600 in table 3) through a digit classifier on each channel",
                source=source,
                sure="verified",
                n_samples=26_000,
                label=label,
            )


@register("dcgan", family="adversarial", paper="arXiv:1511.06434", gives=("sample", "features"), events=("image",))
class DCGAN(GAN):
    @dataclass(frozen=True)
    class Config(GAN.Config):
        batch_size: Count = 128
        latent_dim: Count = 100
        architecture: Literal["conv"] | Robustness | Stacked = "conv"
        discriminator_lr: Positive | None = None  # None: as the generator's

    config: Config
    recipes = (
        *stacked_recipes(),
        *(
            Recipe(
                dataset="mnist",
                config={"architecture": a, "batch_size": 64, "latent_dim": 128, "width": 64, "lr": 2e-4},
                budget=Budget(iterations=200_000),
                metric="inception_score",
                published=None,
                spread="",
                protocol="pictures of samples on LSUN bedrooms at 64 pixels; here MNIST",
                source="Gulrajani et al. 2017 (WGAN-GP), figure 2; settings of the authors' code",
                sure="verified",
                label=f"paper {a}",
            )
            for a in ROBUSTNESS
        ),
    )

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        if c.architecture == "conv":
            self.generator = DCGANGenerator(spec, c.latent_dim, c.width)  # batch norm in all but the last layer
            self.discriminator = DCGANDiscriminator(spec, c.width, nn.BatchNorm2d)  # batch norm in all but the first
        else:
            super().build(spec)

    def players(self) -> list[Player]:
        c = self.config
        discriminator, generator = super().players()
        adam = partial(torch.optim.Adam, lr=c.discriminator_lr or c.lr, betas=c.betas)
        return [replace(discriminator, optimizer=adam), generator]

    def draw_latent(self, n: int, rng: torch.Generator) -> Tensor:
        """z ~ U(-1, 1), or N(0, I) for most networks of later studies: -> (n, Z)."""
        if self.config.architecture not in ("conv", "stacked"):
            return super().draw_latent(n, rng)
        return 2 * torch.rand(n, self.config.latent_dim, generator=rng, device=rng.device) - 1

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        # Real and fake go through separately: each batch norm sees one kind, as in the authors' code.
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_non_saturating(self.discriminator(self.generate(len(batch.x), batch.rng)))

    def representation(self, x: Tensor) -> Tensor:  # section 5.1: every convolutional layer, max-pooled to 4x4
        body: Any = self.discriminator.body
        layers = hidden_layers(body, x)
        maps = [layer for layer in layers if layer.ndim == 4]
        return pooled(maps) if maps else self.features(x)  # gates and residual blocks are no plain nonlinearities
