"""BEGAN: an autoencoding discriminator whose errors on data and on fakes are held in proportion by a controller.

Source      Berthelot et al. 2017, "BEGAN", section 3.3: L_D = L(x) - k L(G(z)), L_G = L(G(z)),
            k <- k + lambda_k (gamma L(x) - L(G(z))), and the convergence measure M of section 3.4.
Departures  1. MLPs or the shared convolutions instead of ELU blocks; shared rates and batches; k is kept in [0, 1].
            2. The code has one number on the plane and 16 on images; the paper's 64 could copy an 8x8 image.
            3. Generators of images end in a tanh and are batch-normed; the paper's is the decoder's network. At 28x28
               pixels all networks have a dense layer. gamma is 0.8 on images: k cannot rise in budgets this short.
Shapes      B batch, Z latent_dim, F code_dim, *E event shape.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, Player, Positive, register
from ganbench.nn import adversarial_generator, make_decoder, make_encoder


def balance(k: Tensor, real_error: Tensor, fake_error: Tensor, gamma: float, rate: float) -> Tensor:
    """The next k: one step of proportional control, kept in [0, 1]: (), (), () -> ()."""
    return (k + rate * (gamma * real_error - fake_error)).clamp(0, 1)


def convergence(real_error: Tensor, fake_error: Tensor, gamma: float) -> Tensor:
    """M = L(x) + |gamma L(x) - L(G(z))|: (), () -> ()."""
    return real_error + (gamma * real_error - fake_error).abs()


@register(
    "began",
    family="adversarial",
    paper="arXiv:1703.10717",
    gives=("sample", "features", "encode", "reconstruct"),
    version=3,
)
class BEGAN(GAN):
    class Config(GAN.Config):
        code_dim: Count = 1  # of the discriminator's autoencoder: one that can copy the data has nothing to tell
        gamma: Positive = 0.5  # diversity ratio E L(G(z)) / E L(x)
        k_rate: Positive = 1e-3  # lambda_k

    config: Config
    prior = "uniform"
    defaults = Defaults(image={"latent_dim": 64, "lr": 2e-4, "decay": "none", "code_dim": 16, "gamma": 0.8})
    k: Tensor
    errors: Tensor  # L(x) and L(G(z)) of the last turns

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.generator = adversarial_generator(spec, c)  # (B, Z) -> (B, *E)
        self.encoder = make_encoder(spec, c, c.code_dim, norm=None)  # (B, *E) -> (B, F)
        self.decoder = make_decoder(spec, replace(c, latent_dim=c.code_dim), norm=None)  # (B, F) -> (B, *E)
        self.discriminator = nn.ModuleList([self.encoder, self.decoder])
        self.register_buffer("k", torch.zeros(()))  # k_0 = 0
        self.register_buffer("errors", torch.zeros(2))

    def players(self) -> list[Player]:
        discriminator, generator = super().players()
        return [discriminator, replace(generator, after=self.update_k)]

    def error(self, x: Tensor) -> Tensor:
        """L(x): absolute error of the reconstruction, mean over batch and pixels: (B, *E) -> ()."""
        return (x - self.reconstruct(x)).abs().mean()

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        real_error = self.error(batch.x)
        self.errors[0].copy_(real_error.detach())
        return real_error - self.k * self.error(fake)

    def generator_loss(self, batch: Batch) -> Tensor:
        fake_error = self.error(self.generate(len(batch.x), batch.rng))
        self.errors[1].copy_(fake_error.detach())
        return fake_error

    def update_k(self) -> None:
        self.k.copy_(balance(self.k, self.errors[0], self.errors[1], self.config.gamma, self.config.k_rate))

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        real_error = self.error(batch.x)
        fake_error = self.error(self.generate(len(batch.x), batch.rng))
        return {"M": convergence(real_error, fake_error, self.config.gamma), "k": self.k.clone()}

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    features = encode

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))
