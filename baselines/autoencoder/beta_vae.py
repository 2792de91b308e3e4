"""beta-VAE: a variational autoencoder that pays beta times for its codes, so that single codes keep single meanings.

Source      Higgins et al. 2017, "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework",
            equation 4 (ICLR); the bound itself is that of arXiv:1312.6114.
Departures  1. Adam at 1e-3; smaller networks, the same for all autoencoders here.
            2. On vectors, the fixed-variance Gaussian decoder that the paper uses for faces; on images, Bernoulli.
            3. log_prob returns the ELBO itself (beta = 1), which training with beta > 1 does not maximise.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.bases.outputs import Output, check_output, output_mean
from ganbench.bases.variational import GaussianPosterior
from ganbench.losses.likelihoods import bernoulli_log_prob, gaussian_draw, gaussian_kl, gaussian_log_prob
from ganbench.model import Batch, Count, DataSpec, Defaults, NonNegative, Positive, register
from ganbench.nn import make_decoder, make_encoder, to_unit


@register(
    "beta_vae",
    family="autoencoder",
    paper="Higgins et al., ICLR 2017",
    gives=("sample", "encode", "from_codes", "reconstruct", "log_prob"),
)
class BetaVAE(GaussianPosterior):
    class Config(GaussianPosterior.Config):
        latent_dim: Count = 8
        beta: NonNegative = 4.0  # price of the KL term: 4 on sprites and chairs, 250 on faces
        output: Output = "gaussian"
        std: Positive = 0.1  # of the Gaussian decoder

    config: Config
    defaults = Defaults(image={"latent_dim": 20, "output": "bernoulli"})
    log_prob_kind = "elbo"

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        check_output(spec, c.output)
        if c.output == "bernoulli":
            self.log_prob_of = "cross entropy of grey values"
        self.encoder = make_encoder(spec, c, 2 * c.latent_dim)  # (B, *E) -> (B, 2 Z): mean and log variance of q(z | x)
        self.decoder = make_decoder(spec, c, bounded=c.output == "gaussian")  # (B, Z) -> (B, *E): logits or means

    def terms(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """log p(x | z) at one draw of z, and KL(q(z | x) || p(z)): (B, *E) -> (B,), (B,)."""
        mean, log_var = self.posterior(x)
        z = gaussian_draw(mean, log_var, rng=rng)
        if self.config.output == "bernoulli":
            log_likelihood = bernoulli_log_prob(to_unit(x, self.spec), self.decoder(z))
        else:
            log_likelihood = gaussian_log_prob(x, self.decoder(z), x.new_full((), math.log(self.config.std)))
        return log_likelihood, gaussian_kl(mean, log_var)

    def loss(self, batch: Batch) -> Tensor:  # equation 4
        log_likelihood, kl = self.terms(batch.x, batch.rng)
        return (self.config.beta * kl - log_likelihood).mean()

    def from_codes(self, z: Tensor) -> Tensor:
        """Mean of p(x | z): (B, Z) -> (B, *E)."""
        return output_mean(self.decoder(z), self.spec, self.config.output)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.from_codes(torch.randn(n, self.config.latent_dim, generator=rng, device=rng.device))

    def log_prob(self, x: Tensor, rng: torch.Generator) -> Tensor:
        log_likelihood, kl = self.terms(x, rng)
        return log_likelihood - kl
