"""WAE-MMD: a Wasserstein autoencoder whose codes are held to the prior by a kernel distance, without an adversary.

Source      Tolstikhin et al. 2018, "Wasserstein Auto-Encoders", Algorithm 2: squared-error cost + lambda times the
            unbiased MMD^2 of codes and prior draws under the inverse multiquadric kernel C / (C + |z - z'|^2).
Departures  1. Smaller networks; no pretraining, input noise or falling rates; the code's cost_weight 0.05, on [0, 1],
               makes lambda weigh 20 to 80 times more there.
            2. The kernel sums over scales of C = 2 Z around the paper's single one, as the authors' code does.
            3. The encoder is deterministic: it cannot spread near-points over the prior (arXiv:1802.03761).
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from ganbench.bases.encoder_decoder import EncoderDecoder
from ganbench.model import Batch, Count, DataSpec, Defaults, Fraction, NonNegative, Player, Positive, register
from ganbench.nn import make_decoder, make_encoder
from ganbench.ops.kernels import InverseMultiquadric, mmd2


@register(
    "wae_mmd", family="autoencoder", paper="arXiv:1711.01558", gives=("sample", "encode", "from_codes", "reconstruct")
)
class WAEMMD(EncoderDecoder):
    class Config(EncoderDecoder.Config):
        batch_size: Count = 100
        cost_weight: Positive = 1.0  # of the squared error; the authors' code has 0.05, the paper nothing
        prior_weight: NonNegative = 10.0  # lambda
        scales: tuple[Positive, ...] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # of the kernel, times 2 Z
        betas: tuple[Fraction, Fraction] = (0.5, 0.999)

    config: Config
    defaults = Defaults(image={"latent_dim": 8})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.encoder = make_encoder(spec, c, c.latent_dim)  # (B, *E) -> (B, Z)
        self.decoder = make_decoder(spec, c, bounded=True)  # (B, Z) -> (B, *E)
        self.kernel = InverseMultiquadric(tuple(2 * c.latent_dim * s for s in c.scales))

    def players(self) -> list[Player]:
        c = self.config
        return [Player("autoencoder", self, self.loss, partial(torch.optim.Adam, lr=c.lr, betas=c.betas))]

    def draw_prior(self, n: int, rng: torch.Generator) -> Tensor:
        """z ~ N(0, I): -> (n, Z)."""
        return torch.randn(n, self.config.latent_dim, generator=rng, device=rng.device)

    def loss(self, batch: Batch) -> Tensor:
        c, codes = self.config, self.encoder(batch.x)
        cost = (batch.x - self.decoder(codes)).square().flatten(1).sum(1).mean()
        prior = self.draw_prior(len(codes), batch.rng)
        return c.cost_weight * cost + c.prior_weight * mmd2(codes, prior, self.kernel, "unbiased")

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.decoder(self.draw_prior(n, rng))
