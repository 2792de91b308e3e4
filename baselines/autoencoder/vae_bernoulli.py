"""Variational autoencoder with a Bernoulli decoder: pixels are probabilities of being white.

Source      Kingma and Welling 2014, "Auto-Encoding Variational Bayes", equation 10 with L = 1 and appendix C.1.
            Importance-weighted bound: Burda et al. 2016, "Importance Weighted Autoencoders", equation 8.
Departures  1. Adam instead of Adagrad; two hidden layers of ReLU instead of one of tanh, convolutions on larger images.
            2. Grey values in [0, 1] are used as they are, so the bound is a cross entropy unless pixels are binary.
            3. Samples are the decoder's probabilities as grey values, as the paper shows them, not binary draws.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.bases.variational import VariationalAutoencoder
from ganbench.losses.likelihoods import bernoulli_log_prob, gaussian_draw, gaussian_kl
from ganbench.model import Batch, Count, DataSpec, register
from ganbench.nn import bounds, from_unit, make_decoder, make_encoder, to_unit


@register(
    "vae_bernoulli",
    family="autoencoder",
    paper="arXiv:1312.6114",
    gives=("sample", "encode", "from_codes", "reconstruct", "log_prob", "inpaint"),
    events=("image",),
)
class BernoulliVAE(VariationalAutoencoder):
    class Config(VariationalAutoencoder.Config):
        latent_dim: Count = 20
        binary_samples: bool = False  # draw x ~ p(x | z) instead of showing its mean

    config: Config

    def build(self, spec: DataSpec) -> None:
        bounds(spec)  # refuses unbounded data, whose values are no probabilities
        self.spec, c = spec, self.config
        self.encoder = make_encoder(spec, c, 2 * c.latent_dim)  # (B, *E) -> (B, 2 Z): mean and log variance of q(z | x)
        self.decoder = make_decoder(spec, c)  # (B, Z) -> (B, *E): logits of p(x | z)
        self.log_prob_kind = c.bound
        self.log_prob_of = "cross entropy of grey values"

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return bernoulli_log_prob(to_unit(x, self.spec), self.decoder(z))

    def elbo(self, x: Tensor, rng: torch.Generator) -> Tensor:  # equation 10: (B, *E) -> (B,)
        mean, log_var = self.posterior(x)
        z = gaussian_draw(mean, log_var, rng=rng)
        return self.log_likelihood(x, z) - gaussian_kl(mean, log_var)

    def loss(self, batch: Batch) -> Tensor:
        return -self.elbo(batch.x, batch.rng).mean()

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        z = torch.randn(n, self.config.latent_dim, generator=rng, device=rng.device)
        p = torch.sigmoid(self.decoder(z))
        return from_unit(torch.bernoulli(p, generator=rng) if self.config.binary_samples else p, self.spec)

    def from_codes(self, z: Tensor) -> Tensor:
        return from_unit(torch.sigmoid(self.decoder(z)), self.spec)
