"""VEEGAN: a reconstructor maps data to the prior and undoes the generator, so that no mode can go unnoticed.

Source      Srivastava et al. 2017, "VEEGAN", Algorithm 1: the discriminator tells (G(z), z) from (x, z ~ p(z | x)); the
            generator moves on its mean logit and on d(z, x) = -log p(z | G(z)), the Gaussian reconstructor on d alone.
Departures  1. On images as in the authors' notebook: the reconstructor is deterministic, d the squared error, it plays
               against the discriminator too, whose MLP has dropout.
            2. Generator and reconstructor are one player; the shared networks (no dense layers on 28x28
               pixels) and rates, smaller batches.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ganbench.losses.adversarial import discriminator_bce
from ganbench.losses.likelihoods import gaussian_log_prob
from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, Fraction, Player, register
from ganbench.nn import JointDiscriminator, adversarial_generator, make_encoder


@register("veegan", family="inference", paper="arXiv:1705.07761", gives=("sample", "encode", "reconstruct"), version=6)
class VEEGAN(GAN):
    class Config(GAN.Config):
        batch_size: Count = 200
        latent_dim: Count = 254
        reconstructor: Literal["gaussian", "deterministic"] = "gaussian"
        reconstructor_plays: bool = False  # against the discriminator, besides undoing the generator
        dropout: Fraction = 0.0  # in the discriminator's MLP

    config: Config
    defaults = Defaults(
        image={
            "batch_size": 64,
            "latent_dim": 32,
            "lr": 2e-4,
            "decay": "none",
            "reconstructor": "deterministic",
            "reconstructor_plays": True,
            "dropout": 0.5,
        }
    )

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.generator = adversarial_generator(spec, c, dense=False)  # G: (B, Z) -> (B, *E)
        # (B, *E) -> (B, Z), or (B, 2 Z): mean and log variance of p(z | x)
        self.reconstructor = make_encoder(spec, c, c.latent_dim * (2 if c.reconstructor == "gaussian" else 1))
        # (B, *E), (B, Z) -> (B,)
        self.discriminator = JointDiscriminator(
            spec, c, (c.latent_dim,), norm=nn.BatchNorm2d, dense=False, dropout=c.dropout
        )

    def players(self) -> list[Player]:
        coders = nn.ModuleList([self.generator, self.reconstructor])
        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, self.adam),
            Player("generator and reconstructor", coders, self.coders_loss, self.adam),
        ]

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of a Gaussian p(z | x): (B, *E) -> (B, Z), (B, Z)."""
        mean, log_var = self.reconstructor(x).chunk(2, dim=1)
        return mean, 0.5 * log_var

    def infer(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """z ~ p(z | x), reparametrised, or the one z of a deterministic reconstructor: (B, *E) -> (B, Z)."""
        if self.config.reconstructor == "deterministic":
            return self.encode(x)
        mean, log_std = self.posterior(x)
        return mean + log_std.exp() * torch.randn(mean.shape, generator=rng, device=x.device)

    def distance(self, z: Tensor, x: Tensor) -> Tensor:
        """d(z, x), how far x is from telling its code, mean over the batch: (B, Z), (B, *E) -> ()."""
        if self.config.reconstructor == "deterministic":
            return (z - self.encode(x)).square().sum(1).mean()
        return -gaussian_log_prob(z, *self.posterior(x)).mean()

    def discriminator_loss(self, batch: Batch) -> Tensor:
        z = self.draw_latent(len(batch.x), batch.rng)
        with torch.no_grad():
            fake, code = self.generator(z), self.infer(batch.x, batch.rng)
        # The paper's discriminator calls generated pairs 1; here, as everywhere, pairs with real events are 1.
        return discriminator_bce(self.discriminator(batch.x, code), self.discriminator(fake, z))

    def coders_loss(self, batch: Batch) -> Tensor:
        z = self.draw_latent(len(batch.x), batch.rng)
        fake = self.generator(z)
        # The logit itself: log q / p at generated pairs.
        loss = self.distance(z, fake) - self.discriminator(fake, z).mean()
        if self.config.reconstructor_plays:
            loss = loss + self.discriminator(batch.x, self.infer(batch.x, batch.rng)).mean()
        return loss

    def encode(self, x: Tensor) -> Tensor:
        out: Tensor = self.reconstructor(x)
        return out[:, : self.config.latent_dim]  # of a Gaussian the mean

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.generator(self.encode(x))
