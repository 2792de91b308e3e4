"""Historical averaging: both players of a non-saturating GAN pay for moving away from their past parameters.

Source      Salimans et al. 2016, "Improved Techniques for Training GANs", section 3.3.
Departures  1. The weight of the term is not published; 1e-3 is ours.
            2. Lecture notes that call the distance to the previous iterate alone the online form: `past="previous"`.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import GAN, Batch, DataSpec, NonNegative, Player, register
from ganbench.nn import ParameterHistory


@register("historical_avg", family="adversarial", paper="arXiv:1606.03498", gives=("sample", "features"), version=3)
class HistoricalAveragingGAN(GAN):
    class Config(GAN.Config):
        history_weight: NonNegative = 1e-3
        past: Literal["mean", "previous"] = "mean"  # the mean of all iterates, updated as a running mean

    config: Config

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        self.generator_history = ParameterHistory(self.generator, self.config.past)
        self.discriminator_history = ParameterHistory(self.discriminator, self.config.past)

    def players(self) -> list[Player]:
        discriminator, generator = super().players()
        return [
            replace(discriminator, after=self.discriminator_history.update),
            replace(generator, after=self.generator_history.update),
        ]

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        loss = discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))
        return loss + self.config.history_weight * self.discriminator_history.penalty()

    def generator_loss(self, batch: Batch) -> Tensor:
        loss = generator_non_saturating(self.discriminator(self.generate(len(batch.x), batch.rng)))
        return loss + self.config.history_weight * self.generator_history.penalty()
