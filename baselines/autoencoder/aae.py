"""Adversarial autoencoder: a discriminator of codes pulls all codes together to the prior's distribution.

Source      Makhzani et al. 2015, "Adversarial Autoencoders", section 2: a reconstruction phase, then a regularisation
            phase (discriminator, then encoder). Of its encoders: deterministic, as in its likelihood runs, or a
            Gaussian posterior, which can spread the near-points of the toy mixtures over the prior.
Departures  1. Adam instead of SGD with momentum; smaller networks and squared error (the recipe keeps the sizes).
            2. The prior has unit deviation; the paper's likelihood runs use 5 (the recipe keeps it).
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from ganbench.bases.encoder_decoder import EncoderDecoder
from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import Batch, DataSpec, Defaults, Fraction, Player, Positive, register
from ganbench.nn import MLP, make_decoder, make_encoder


@register(
    "aae", family="autoencoder", paper="arXiv:1511.05644", gives=("sample", "encode", "from_codes", "reconstruct")
)
class AdversarialAutoencoder(EncoderDecoder):
    class Config(EncoderDecoder.Config):
        posterior: Literal["deterministic", "gaussian"] = "gaussian"
        prior_std: Positive = 1.0
        adversary_lr: Positive = 1e-3  # of the discriminator, and of the encoder in the regularisation phase
        betas: tuple[Fraction, Fraction] = (0.5, 0.999)

    config: Config
    defaults = Defaults(image={"latent_dim": 8, "posterior": "deterministic"})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        n_code = c.latent_dim if c.posterior == "deterministic" else 2 * c.latent_dim  # mean, log variance
        self.encoder = make_encoder(spec, c, n_code)  # (B, *E) -> (B, n_code)
        self.decoder = make_decoder(spec, c, bounded=True)  # (B, Z) -> (B, *E)
        self.discriminator = MLP((c.latent_dim,), c.hidden, (), activation=lambda: nn.LeakyReLU(0.2))  # (B, Z) -> (B,)

    def players(self) -> list[Player]:
        c = self.config
        adversary = partial(torch.optim.Adam, lr=c.adversary_lr, betas=c.betas)
        pair = nn.ModuleList([self.encoder, self.decoder])
        return [
            Player("autoencoder", pair, self.reconstruction_loss, partial(torch.optim.Adam, lr=c.lr)),
            Player("discriminator", self.discriminator, self.discriminator_loss, adversary),
            Player("encoder", self.encoder, self.encoder_loss, adversary),
        ]

    def draw_prior(self, n: int, rng: torch.Generator) -> Tensor:
        """z ~ N(0, prior_std^2 I): -> (n, Z)."""
        return self.config.prior_std * torch.randn(n, self.config.latent_dim, generator=rng, device=rng.device)

    def infer(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """z = E(x), or z ~ q(z | x), reparametrised: (B, *E) -> (B, Z)."""
        out: Tensor = self.encoder(x)
        if self.config.posterior == "deterministic":
            return out
        mean, log_var = out.chunk(2, dim=1)
        return mean + torch.exp(0.5 * log_var) * torch.randn(mean.shape, generator=rng, device=x.device)

    def reconstruction_loss(self, batch: Batch) -> Tensor:
        return (batch.x - self.decoder(self.infer(batch.x, batch.rng))).square().flatten(1).sum(1).mean()

    def discriminator_loss(self, batch: Batch) -> Tensor:  # prior draws are real, codes are fake
        with torch.no_grad():
            codes = self.infer(batch.x, batch.rng)
        prior = self.draw_prior(len(codes), batch.rng)
        return discriminator_bce(self.discriminator(prior), self.discriminator(codes))

    def encoder_loss(self, batch: Batch) -> Tensor:
        return generator_non_saturating(self.discriminator(self.infer(batch.x, batch.rng)))

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.decoder(self.draw_prior(n, rng))

    def encode(self, x: Tensor) -> Tensor:
        """E(x), or the mean of q(z | x): (B, *E) -> (B, Z)."""
        out: Tensor = self.encoder(x)
        return out[:, : self.config.latent_dim]
