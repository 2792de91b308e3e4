"""SRGAN: a residual network makes images larger, first by squared error alone, then against a discriminator as well.

Source      Ledig et al. 2017, "Photo-Realistic Single Image Super-Resolution Using a GAN", equations 2 to 6.
Departures  1. Content is the squared error of pixels: the paper's SRGAN-MSE. Its VGG features are of weights that a
               baseline does not ship, and a scorer's would be judged by themselves. Without the GAN: SRResNet-MSE, at
               the rates that SRGAN has, where the paper's keeps one rate.
            2. Narrower, fewer blocks, ten times the rate for budgets some hundred times smaller; a tanh at the end.
            3. Half of the budget pretrains; the paper's share is 5/6.
Shapes      B batch, *C source (C, h, w), *E target (C, f h, f w).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import (
    Batch,
    Count,
    DataSpec,
    Defaults,
    Fraction,
    Model,
    NonNegative,
    NotApplicable,
    Player,
    Positive,
    register,
)
from ganbench.nn.translation import SRResNet, srgan_judge


@register(
    "srgan",
    family="conditional",
    paper="arXiv:1609.04802",
    gives=("translate",),
    needs=("cond", "pairs"),
    conditions=("image",),
    events=("image",),
    version=2,
)
class SRGAN(Model):
    class Config(Model.Config):
        batch_size: Count = 16
        width: Count = 64  # filters of both networks, next to the image
        blocks: Count = 16
        pretraining: Fraction = 5 / 6  # share of the budget in which squared error alone moves the generator
        adversarial_weight: NonNegative = 1e-3  # 0: squared error over the whole budget
        lr: Positive = 1e-4
        betas: tuple[Fraction, Fraction] = (0.9, 0.999)

    config: Config
    defaults = Defaults(image={"width": 32, "blocks": 4, "pretraining": 0.5, "lr": 1e-3})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        if spec.cond is None or spec.cond.kind != "image" or not spec.cond.paired:
            raise NotApplicable(f"srgan learns from pairs of small and large images; {spec.name} has none")
        (n_small, *small), (n_channels, height, breadth) = spec.cond.shape, spec.event_shape
        factor = height // small[0]
        if n_small != n_channels or [factor * side for side in small] != [height, breadth]:
            raise NotApplicable(
                f"srgan makes both sides of an image as many times larger and keeps its channels; {spec.name} makes "
                f"{spec.event_shape} from {spec.cond.shape}"
            )
        self.generator = SRResNet(n_channels, factor, c.width, c.blocks)  # (B, *C) -> (B, *E)
        self.discriminator = srgan_judge(n_channels, (height, breadth), c.width)  # (B, *E) -> (B, 1)

    def players(self) -> list[Player]:
        c = self.config
        adam = partial(torch.optim.Adam, lr=c.lr, betas=c.betas)
        first, second, late = (0.0, c.pretraining), (c.pretraining, 1.0), self.late
        pretraining = Player("pretraining", self.generator, self.content_loss, adam, span=first)
        if not c.adversarial_weight:  # the same rates as beside a discriminator, so that only the loss differs
            return [
                pretraining,
                Player("generator", self.generator, self.content_loss, adam, span=second, schedule=late),
            ]
        return [
            pretraining,
            Player("discriminator", self.discriminator, self.discriminator_loss, adam, span=second, schedule=late),
            Player("generator", self.generator, self.generator_loss, adam, span=second, schedule=late),
        ]

    @property
    def late(self) -> Callable[[float], float]:
        """A tenth of the rate in the second half of the adversarial phase."""
        return lambda share: 1.0 if share < (1 + self.config.pretraining) / 2 else 0.1

    def content_loss(self, batch: Batch) -> Tensor:
        """Squared error a pixel, of images in [-1, 1]: equation 4."""
        return (batch.x - self.generator(batch.cond)).square().mean()

    def discriminator_loss(self, batch: Batch) -> Tensor:  # equation 2
        with torch.no_grad():
            fake = self.generator(batch.cond)
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:  # equations 3 and 6
        fake = self.generator(batch.cond)
        adversarial = generator_non_saturating(self.discriminator(fake))
        return (batch.x - fake).square().mean() + self.config.adversarial_weight * adversarial

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        with torch.no_grad():
            return {"mse": self.content_loss(batch)}

    def translate(self, cond: Tensor, rng: torch.Generator) -> Tensor:
        out: Tensor = self.generator(cond)
        return out
