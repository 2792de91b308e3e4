"""MMD GAN: the kernel of a moment matching network is learned, as a Gaussian kernel on an adversary's features.

Source      Li, Chang, Cheng, Yang & Poczos 2017, "MMD GAN", Algorithm 1: an autoencoder keeps the critic injective, its
            weights are clipped, a one-sided penalty holds E f(x) >= E f(G(z)); lambdas are the authors' code's.
Departures  1. Small events have MLPs, clipped at 0.1, since 0.01 shrinks codes without batch norm to nothing,
               with more rate and fewer critic steps; five on images, where the authors at times take 100.
            2. The penalty binds the critic alone: subtracted from the generator's loss too, runs on vectors diverge.
            3. Clipping comes after each step instead of before the next; the kernel's widths fit our codes.
Shapes      B batch, Z latent_dim, which is also the number of codes as in the authors' code, *E event shape.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.losses.penalties import clip_weights_
from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, NonNegative, Player, Positive, register
from ganbench.nn import make_decoder, make_encoder, make_generator
from ganbench.ops.kernels import RBF, Kernel, mmd2


def kernel_distance(fake_codes: Tensor, real_codes: Tensor, kernel: Kernel) -> Tensor:
    """MMD of codes: (B, Z), (B, Z) -> ()."""
    return mmd2(fake_codes, real_codes, kernel).clamp(min=1e-7).sqrt()  # clamped at what float32 resolves


def infeasibility(fake_codes: Tensor, real_codes: Tensor) -> Tensor:
    """Mean over codes of how far E f(G(z)) exceeds E f(x): (B, Z), (B, Z) -> (), zero when feasible."""
    return F.relu(fake_codes.mean(0) - real_codes.mean(0)).mean()


@register(
    "mmd_gan",
    family="moment",
    paper="arXiv:1705.08584",
    gives=("sample", "encode", "from_codes", "reconstruct"),
    version=2,
)
class MMDGAN(GAN):
    class Config(GAN.Config):
        latent_dim: Count = 10
        bandwidths: tuple[Positive, ...] = (0.25, 1.0, 4.0)  # in units of the codes
        clip: Positive = 0.1  # weights of the encoder stay in [-clip, clip]
        n_critic: Count = 3
        autoencoder_weight: NonNegative = 8.0  # lambda_AE
        feasible_weight: NonNegative = 16.0  # lambda_rg
        lr: Positive = 5e-4

    config: Config
    defaults = Defaults(
        image={"lr": 5e-5, "decay": "none", "bandwidths": (1.0, 2.0, 4.0, 8.0, 16.0), "clip": 0.01, "n_critic": 5},
        small={"lr": 5e-4, "clip": 0.1, "n_critic": 3},
    )

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.generator = make_generator(spec, c)  # (B, Z) -> (B, *E)
        self.encoder = make_encoder(spec, c, c.latent_dim)  # (B, *E) -> (B, Z)
        self.decoder = make_decoder(spec, c, bounded=True)  # (B, Z) -> (B, *E)
        self.critic = nn.ModuleList([self.encoder, self.decoder])
        self.kernel = RBF(c.bandwidths)
        self.clip()

    def players(self) -> list[Player]:
        c = self.config
        rmsprop = partial(torch.optim.RMSprop, lr=c.lr)
        return [
            Player("critic", self.critic, self.critic_loss, rmsprop, updates=c.n_critic, after=self.clip),
            Player("generator", self.generator, self.generator_loss, rmsprop),
        ]

    def clip(self) -> None:
        clip_weights_(self.encoder, self.config.clip)

    def critic_loss(self, batch: Batch) -> Tensor:
        c, real = self.config, batch.x
        with torch.no_grad():
            fake = self.generate(len(real), batch.rng)
        f_real, f_fake = self.encoder(real), self.encoder(fake)
        reconstruction = F.mse_loss(self.decoder(f_real), real) + F.mse_loss(self.decoder(f_fake), fake)
        distance = kernel_distance(f_fake, f_real, self.kernel)
        infeasible = infeasibility(f_fake, f_real)
        return -distance + c.feasible_weight * infeasible + c.autoencoder_weight * reconstruction

    def generator_loss(self, batch: Batch) -> Tensor:
        f_real, f_fake = self.encoder(batch.x), self.encoder(self.generate(len(batch.x), batch.rng))
        return kernel_distance(f_fake, f_real, self.kernel)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def from_codes(self, z: Tensor) -> Tensor:
        return self.decoder(z)
