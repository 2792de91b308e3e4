"""Variational autoencoder with a Gaussian decoder: codes and noise are inferred by maximising a likelihood bound.

Source      Kingma and Welling 2014, "Auto-Encoding Variational Bayes", equation 10 with L = 1 and appendix C.2.
            Importance-weighted bound: Burda et al. 2016, "Importance Weighted Autoencoders", equation 8.
Departures  1. Adam instead of Adagrad; two hidden layers of ReLU instead of one of tanh, convolutions on larger images.
            2. The decoder's standard deviation has a floor: pixels that never change would make the density unbounded.
            3. Pictures are decoder means, as the paper shows them; on vectors, samples carry the decoder's noise.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.bases.variational import VariationalAutoencoder
from ganbench.losses.likelihoods import gaussian_draw, gaussian_kl, gaussian_log_prob
from ganbench.model import Batch, Count, DataSpec, Defaults, Positive, register
from ganbench.nn import make_decoder, make_encoder


@register(
    "vae_gaussian",
    family="autoencoder",
    paper="arXiv:1312.6114",
    gives=("sample", "encode", "from_codes", "reconstruct", "log_prob", "inpaint"),
)
class GaussianVAE(VariationalAutoencoder):
    class Config(VariationalAutoencoder.Config):
        latent_dim: Count = 8
        min_std: Positive = 1e-3  # floor of the decoder's standard deviation
        noisy_samples: bool = True  # draw x ~ p(x | z) instead of showing its mean

    config: Config
    defaults = Defaults(image={"latent_dim": 20, "min_std": 0.1, "noisy_samples": False})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.encoder = make_encoder(spec, c, 2 * c.latent_dim)  # (B, *E) -> (B, 2 Z): mean and log variance of q(z | x)
        self.decoder = make_decoder(spec, c, maps=2)  # (B, Z) -> (B, 2 E[0], ...): mean and deviation of p(x | z)
        self.log_prob_kind = c.bound

    def likelihood(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of p(x | z): (B, Z) -> (B, *E), (B, *E)."""
        mean, raw = self.decoder(z).chunk(2, dim=1)
        mean = mean if self.spec.domain is None else torch.tanh(mean)
        # The shift starts the deviation near 0.1: from one as wide as the data, codes stay unused for long.
        return mean, torch.log(self.config.min_std + F.softplus(raw - 2))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return gaussian_log_prob(x, *self.likelihood(z))

    def elbo(self, x: Tensor, rng: torch.Generator) -> Tensor:  # equation 10: (B, *E) -> (B,)
        mean, log_var = self.posterior(x)
        z = gaussian_draw(mean, log_var, rng=rng)
        return self.log_likelihood(x, z) - gaussian_kl(mean, log_var)

    def loss(self, batch: Batch) -> Tensor:
        return -self.elbo(batch.x, batch.rng).mean()

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        mean, log_std = self.likelihood(torch.randn(n, self.config.latent_dim, generator=rng, device=rng.device))
        if not self.config.noisy_samples:
            return mean
        return mean + torch.exp(log_std) * torch.randn(mean.shape, generator=rng, device=rng.device)

    def from_codes(self, z: Tensor) -> Tensor:
        return self.likelihood(z)[0]
