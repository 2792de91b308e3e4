"""Variational autoencoder with a Bernoulli decoder: pixels are probabilities of being white.

Source      Kingma and Welling 2014, "Auto-Encoding Variational Bayes", equation 10 with L = 1 and appendix C.1.
            Importance-weighted bound: Burda et al. 2016, "Importance Weighted Autoencoders", equation 8.
Departures  1. Adam instead of Adagrad; two hidden layers of ReLU instead of one of tanh, convolutions on larger images.
            2. Grey values in [0, 1] are used as they are, so the bound is a cross entropy unless pixels are binary.
            3. Samples are the decoder's probabilities as grey values, as the paper shows them, not binary draws.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from ganbench.bases.encoder_decoder import EncoderDecoder
from ganbench.losses.likelihoods import (
    bernoulli_log_prob,
    gaussian_kl,
    gaussian_log_prob,
    log_mean_exp,
    standard_normal_log_prob,
)
from ganbench.model import Batch, Count, DataSpec, Player, register
from ganbench.nn import bounds, from_unit, make_decoder, make_encoder, to_unit
from ganbench.ops.impute import impute


@register(
    "vae_bernoulli",
    family="autoencoder",
    paper="arXiv:1312.6114",
    gives=("sample", "encode", "from_codes", "reconstruct", "log_prob", "inpaint"),
    events=("image",),
)
class BernoulliVAE(EncoderDecoder):
    @dataclass(frozen=True)
    class Config(EncoderDecoder.Config):
        latent_dim: Count = 20
        binary_samples: bool = False  # draw x ~ p(x | z) instead of showing its mean
        bound: Literal["elbo", "iwae"] = "elbo"  # what log_prob returns
        n_particles: Count = 500  # draws of z for the importance-weighted bound

    config: Config

    def build(self, spec: DataSpec) -> None:
        bounds(spec)  # refuses unbounded data, whose values are no probabilities
        self.spec, c = spec, self.config
        self.encoder = make_encoder(spec, c, 2 * c.latent_dim)  # (B, *E) -> (B, 2 Z): mean and log variance of q(z | x)
        self.decoder = make_decoder(spec, c)  # (B, Z) -> (B, *E): logits of p(x | z)
        self.log_prob_kind = c.bound
        self.log_prob_of = "cross entropy of grey values"

    def players(self) -> list[Player]:
        return [Player("vae", self, self.loss, partial(torch.optim.Adam, lr=self.config.lr))]

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x): (B, *E) -> (B, Z), (B, Z)."""
        mean, log_var = self.encoder(x).chunk(2, dim=1)
        return mean, log_var

    def elbo(self, x: Tensor, rng: torch.Generator) -> Tensor:  # equation 10: (B, *E) -> (B,)
        mean, log_var = self.posterior(x)
        z = mean + torch.exp(0.5 * log_var) * torch.randn(mean.shape, generator=rng, device=x.device)
        return bernoulli_log_prob(to_unit(x, self.spec), self.decoder(z)) - gaussian_kl(mean, log_var)

    def iwae(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Bound from n_particles importance-weighted codes, between the ELBO and the log likelihood: -> (B,)."""
        mean, log_var = self.posterior(x)

        def log_weights() -> Iterator[Tensor]:  # log p(x | z) + log p(z) - log q(z | x), one draw of z at a time
            for _ in range(self.config.n_particles):
                z = mean + torch.exp(0.5 * log_var) * torch.randn(mean.shape, generator=rng, device=x.device)
                log_q = gaussian_log_prob(z, mean, 0.5 * log_var)
                yield bernoulli_log_prob(to_unit(x, self.spec), self.decoder(z)) + standard_normal_log_prob(z) - log_q

        return log_mean_exp(log_weights())

    def loss(self, batch: Batch) -> Tensor:
        return -self.elbo(batch.x, batch.rng).mean()

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        return {"kl": gaussian_kl(*self.posterior(batch.x)).mean()}

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        z = torch.randn(n, self.config.latent_dim, generator=rng, device=rng.device)
        p = torch.sigmoid(self.decoder(z))
        return from_unit(torch.bernoulli(p, generator=rng) if self.config.binary_samples else p, self.spec)

    def encode(self, x: Tensor) -> Tensor:
        return self.posterior(x)[0]

    def from_codes(self, z: Tensor) -> Tensor:
        return from_unit(torch.sigmoid(self.decoder(z)), self.spec)

    def log_prob(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return self.elbo(x, rng) if self.config.bound == "elbo" else self.iwae(x, rng)

    def inpaint(self, x: Tensor, known: Tensor, rng: torch.Generator) -> Tensor:
        def redraw(seen: Tensor) -> Tensor:
            mean, log_var = self.posterior(seen)
            return self.from_codes(
                mean + torch.exp(0.5 * log_var) * torch.randn(mean.shape, generator=rng, device=x.device)
            )

        return impute(x, known, redraw)
