"""Generation by decoding made-up codes: an autoencoder, then a Gaussian or a mixture fitted to its codes.

Source      Ghosh et al. 2020, "From Variational to Deterministic Autoencoders" (arXiv:1903.12436), section 4:
            ex-post density estimation, a full-covariance Gaussian or a mixture of ten, here on a plain autoencoder.
Departures  1. No regulariser of the decoder: the plain autoencoder is the paper's AE row.
Shapes      B batch, N codes, K components, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ganbench.bases.encoder_decoder import EncoderDecoder
from ganbench.model import Batch, Count, DataSpec, Defaults, Split, register
from ganbench.nn import make_decoder, make_encoder


@register(
    "ae_decoder_gen",
    family="autoencoder",
    paper="arXiv:1903.12436",
    gives=("sample", "encode", "from_codes", "reconstruct"),
)
class DecodedCodes(EncoderDecoder):
    class Config(EncoderDecoder.Config):
        density: Literal["gaussian", "mixture"] = "mixture"
        n_components: Count = 10
        n_codes: Count = 10_000  # training codes the density is fitted to, at most

    config: Config
    defaults = Defaults(image={"latent_dim": 16})
    weights: Tensor  # (K,)
    means: Tensor  # (K, Z)
    factors: Tensor  # (K, Z, Z) Cholesky factors L, covariance L L^T

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.encoder = make_encoder(spec, c, c.latent_dim)  # (B, *E) -> (B, Z)
        self.decoder = make_decoder(spec, c, bounded=True)  # (B, Z) -> (B, *E)
        k = c.n_components if c.density == "mixture" else 1
        # The density of codes; N(0, I) until `finish` has fitted it.
        self.register_buffer("weights", torch.full((k,), 1 / k))
        self.register_buffer("means", torch.zeros(k, c.latent_dim))
        self.register_buffer("factors", torch.eye(c.latent_dim).repeat(k, 1, 1))

    def loss(self, batch: Batch) -> Tensor:
        return (batch.x - self.decoder(self.encoder(batch.x))).square().flatten(1).sum(1).mean()

    def finish(self, data: Split, rng: torch.Generator) -> None:
        from sklearn.mixture import GaussianMixture

        rows = torch.randperm(len(data), generator=rng, device=rng.device)[: self.config.n_codes]
        codes = torch.cat([self.encoder(data.events(part)) for part in rows.split(1000)])  # (N, Z)
        seed = int(torch.randint(2**31, (), generator=rng, device=rng.device))
        k = min(len(self.weights), len(codes))
        fitted = GaussianMixture(k, reg_covar=1e-6, random_state=seed).fit(codes.double().cpu().numpy())
        self.weights.zero_()[:k] = torch.from_numpy(fitted.weights_).to(self.weights)
        self.means[:k] = torch.from_numpy(fitted.means_).to(self.means)
        self.factors[:k] = torch.linalg.cholesky(torch.from_numpy(fitted.covariances_)).to(self.factors)

    def draw_codes(self, n: int, rng: torch.Generator) -> Tensor:
        """Codes from the fitted density: -> (n, Z)."""
        if n == 0:
            return self.means[:0]
        k = torch.multinomial(self.weights, n, replacement=True, generator=rng)
        noise = torch.randn(n, self.config.latent_dim, 1, generator=rng, device=rng.device)
        return self.means[k] + (self.factors[k] @ noise).squeeze(2)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.decoder(self.draw_codes(n, rng))
