"""DCGAN: the convolutional pair with batch norm that made GANs train on images, on the non-saturating loss.

Source      Radford et al. 2016, "Unsupervised Representation Learning with Deep Convolutional GANs", section 3 and 4.
Departures  1. 32 filters of 4x4 next to the image instead of 64 of 5x5; as many layers as fit the image, and at 28x28
               pixels a dense one of 1,024 units, as in the authors' code for MNIST.
            2. `architecture` also names networks of later studies, whose latents are Gaussian but for `stacked`.
Shapes      B batch, Z latent_dim, C H W image.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, NotApplicable, Player, Positive, register
from ganbench.nn import DCGANDiscriminator, DCGANGenerator, Residual, Robustness, Stacked, hidden_layers, pooled
from ganbench.nn.capsules import CapsuleDiscriminator


@register(
    "dcgan", family="adversarial", paper="arXiv:1511.06434", gives=("sample", "features"), events=("image",), version=2
)
class DCGAN(GAN):
    class Config(GAN.Config):
        batch_size: Count = 128
        latent_dim: Count = 100
        architecture: Literal["conv"] | Robustness | Stacked | Residual = "conv"
        discriminator_lr: Positive | None = None  # None: as the generator's
        discriminator: Literal["convolutions", "capsules"] = "convolutions"  # capsules: Sabour et al. 2017
        discriminator_width: Count | None = None  # None: as the generator's; of the networks of this file

    config: Config
    defaults = Defaults(image={"lr": 2e-4, "decay": "none"})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        # Most networks of later studies have normal latents.
        self.prior = "uniform" if c.architecture in ("conv", "stacked") else "normal"
        width = c.discriminator_width or c.width
        if c.architecture == "conv":
            self.generator = DCGANGenerator(spec, c.latent_dim, c.width)  # batch norm in all but the last layer
            self.discriminator = DCGANDiscriminator(spec, width, nn.BatchNorm2d)  # batch norm in all but the first
        elif c.discriminator_width is None:
            super().build(spec)
        else:
            raise NotApplicable(f"discriminator_width goes with architecture=conv; got {c.architecture}")
        if c.discriminator == "capsules":
            self.discriminator = CapsuleDiscriminator(spec, width)

    def players(self) -> list[Player]:
        c = self.config
        discriminator, generator = super().players()
        adam = partial(torch.optim.Adam, lr=c.discriminator_lr or c.lr, betas=c.betas)
        return [replace(discriminator, optimizer=adam), generator]

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        # Real and fake go through separately: each batch norm sees one kind, as in the authors' code.
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_non_saturating(self.discriminator(self.generate(len(batch.x), batch.rng)))

    def representation(self, x: Tensor) -> Tensor:  # section 5.1: every convolutional layer, max-pooled to 4x4
        if self.config.discriminator == "capsules":
            return self.features(x)
        body: Any = self.discriminator.body
        layers = hidden_layers(body, x)
        maps = [layer for layer in layers if layer.ndim == 4]
        return pooled(maps) if maps else self.features(x)  # gates and residual blocks are no plain nonlinearities
