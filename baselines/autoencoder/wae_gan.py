"""WAE-GAN: a Wasserstein autoencoder whose codes are held to the prior by a discriminator.

Source      Tolstikhin et al. 2018, "Wasserstein Auto-Encoders", Algorithm 1: squared-error cost + lambda times the
            adversary's term, where the encoder ascends log D of its codes (non-saturating, as the algorithm has it).
Departures  1. Smaller networks; of the authors' code no pretraining, input noise or falling rates of the encoder, nor
               (on CelebA) log p(z) in the adversary's logit; nor its cost_weight 0.05 on [0, 1]: lambda weighs less.
            2. The encoder is deterministic, as in the paper's runs: it cannot spread the near-points of a toy mixture
               over the prior (Rubenstein et al. 2018, arXiv:1802.03761), and samples fall between the modes.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from ganbench.bases.encoder_decoder import EncoderDecoder
from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import Batch, DataSpec, Defaults, Fraction, NonNegative, Player, Positive, register
from ganbench.nn import MLP, make_decoder, make_encoder


@register(
    "wae_gan", family="autoencoder", paper="arXiv:1711.01558", gives=("sample", "encode", "from_codes", "reconstruct")
)
class WAEGAN(EncoderDecoder):
    class Config(EncoderDecoder.Config):
        cost_weight: Positive = 1.0  # of the squared error; the authors' code has 0.05, the paper nothing
        prior_weight: NonNegative = 10.0  # lambda
        adversary_lr: Positive = 5e-4
        betas: tuple[Fraction, Fraction] = (0.5, 0.999)

    config: Config
    defaults = Defaults(image={"latent_dim": 8})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.encoder = make_encoder(spec, c, c.latent_dim)  # (B, *E) -> (B, Z)
        self.decoder = make_decoder(spec, c, bounded=True)  # (B, Z) -> (B, *E)
        self.discriminator = MLP((c.latent_dim,), c.hidden, ())  # (B, Z) -> (B,)

    def players(self) -> list[Player]:
        c = self.config
        adam = partial(torch.optim.Adam, betas=c.betas)
        pair = nn.ModuleList([self.encoder, self.decoder])
        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, partial(adam, lr=c.adversary_lr)),
            Player("autoencoder", pair, self.autoencoder_loss, partial(adam, lr=c.lr)),
        ]

    def draw_prior(self, n: int, rng: torch.Generator) -> Tensor:
        """z ~ N(0, I): -> (n, Z)."""
        return torch.randn(n, self.config.latent_dim, generator=rng, device=rng.device)

    def discriminator_loss(self, batch: Batch) -> Tensor:  # prior draws are real, codes are fake
        with torch.no_grad():
            codes = self.encoder(batch.x)
        prior = self.draw_prior(len(codes), batch.rng)
        return self.config.prior_weight * discriminator_bce(self.discriminator(prior), self.discriminator(codes))

    def autoencoder_loss(self, batch: Batch) -> Tensor:
        c, codes = self.config, self.encoder(batch.x)
        cost = (batch.x - self.decoder(codes)).square().flatten(1).sum(1).mean()
        return c.cost_weight * cost + c.prior_weight * generator_non_saturating(self.discriminator(codes))

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.decoder(self.draw_prior(n, rng))
