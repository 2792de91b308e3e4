"""What variational autoencoders share: a Gaussian posterior of codes, and what follows from a bound on the likelihood.

Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from ganbench.bases.encoder_decoder import EncoderDecoder
from ganbench.data import Batch
from ganbench.losses.likelihoods import (
    gaussian_draw,
    gaussian_kl,
    gaussian_log_prob,
    log_mean_exp,
    standard_normal_log_prob,
)
from ganbench.model import Count, Player
from ganbench.ops.impute import impute


class GaussianPosterior(EncoderDecoder):
    """A subclass makes an encoder (B, *E) -> (B, 2 Z): mean and log variance of q(z | x)."""

    def players(self) -> list[Player]:
        return [Player("vae", self, self.loss, partial(torch.optim.Adam, lr=self.config.lr))]

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x): (B, *E) -> (B, Z), (B, Z)."""
        mean, log_var = self.encoder(x).chunk(2, dim=1)
        return mean, log_var

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        return {"kl": gaussian_kl(*self.posterior(batch.x)).mean()}

    def encode(self, x: Tensor) -> Tensor:
        return self.posterior(x)[0]


class VariationalAutoencoder(GaussianPosterior):
    """A subclass says p(x | z), the bound and the loss; the importance-weighted bound and completion follow."""

    class Config(EncoderDecoder.Config):
        bound: Literal["elbo", "iwae"] = "elbo"  # what log_prob returns
        n_particles: Count = 500  # draws of z for the importance-weighted bound

    config: Config

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z): (B, *E), (B, Z) -> (B,)."""
        raise NotImplementedError

    def elbo(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """The evidence lower bound from one draw of z: (B, *E) -> (B,)."""
        raise NotImplementedError

    def iwae(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Bound from n_particles importance-weighted codes, between the ELBO and the log likelihood: -> (B,).

        Burda et al. 2016, "Importance Weighted Autoencoders", equation 8.
        """
        mean, log_var = self.posterior(x)

        def log_weights() -> Iterator[Tensor]:  # log p(x | z) + log p(z) - log q(z | x), one draw of z at a time
            for _ in range(self.config.n_particles):
                z = gaussian_draw(mean, log_var, rng=rng)
                log_q = gaussian_log_prob(z, mean, 0.5 * log_var)
                yield self.log_likelihood(x, z) + standard_normal_log_prob(z) - log_q

        return log_mean_exp(log_weights())

    def log_prob(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return self.elbo(x, rng) if self.config.bound == "elbo" else self.iwae(x, rng)

    def inpaint(self, x: Tensor, known: Tensor, rng: torch.Generator) -> Tensor:
        return impute(x, known, lambda seen: self.from_codes(gaussian_draw(*self.posterior(seen), rng=rng)))
