"""EBGAN: the discriminator is an autoencoder whose reconstruction error is an energy, low on data, high elsewhere.

Source      Zhao et al. 2017, "Energy-based Generative Adversarial Network", equations 1, 2 and 4:
            L_D = D(x) + [m - D(G(z))]_+ and L_G = D(G(z)) (+ 0.1 pulling-away term, as EBGAN-PT).
Departures  1. The shared networks, batch-normed autoencoder included; Adam's beta1 is 0.5, its rate 1e-3 on vectors as
               in the paper, 2e-4 on images.
            2. The margin depends on the data's size: 1 on the plane, 4 on images in [-1, 1] (the paper tunes it).
            3. The discriminator's reconstruction is linear on images too: through a tanh it saturates at the fakes.
Shapes      B batch, Z latent_dim, F code_dim, *E event shape.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, NonNegative, Positive, register
from ganbench.nn import adversarial_generator, make_decoder, make_encoder


def pulling_away(codes: Tensor) -> Tensor:
    """Mean squared cosine over pairs of different codes: equation 4: (B, F) -> ()."""
    n, unit = len(codes), F.normalize(codes, dim=1)
    return ((unit @ unit.T).square().sum() - n) / (n * (n - 1))


@register(
    "ebgan",
    family="adversarial",
    paper="arXiv:1609.03126",
    gives=("sample", "features", "encode", "reconstruct"),
    version=3,
)
class EBGAN(GAN):
    class Config(GAN.Config):
        code_dim: Count = 32  # of the discriminator's autoencoder
        margin: Positive = 1.0  # m
        pt_weight: NonNegative = 0.1  # of the pulling-away term; 0 is the plain EBGAN

    config: Config
    defaults = Defaults(image={"latent_dim": 64, "lr": 2e-4, "decay": "none", "margin": 4.0})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.generator = adversarial_generator(spec, c)  # (B, Z) -> (B, *E)
        self.encoder = make_encoder(spec, c, c.code_dim)  # (B, *E) -> (B, F)
        self.decoder = make_decoder(spec, replace(c, latent_dim=c.code_dim))  # (B, F) -> (B, *E)
        self.discriminator = nn.ModuleList([self.encoder, self.decoder])

    def energy(self, x: Tensor, codes: Tensor) -> Tensor:
        """|decoder(codes) - x|, the Euclidean norm: (B, *E), (B, F) -> (B,)."""
        # The small constant keeps the root's slope finite at a perfect reconstruction.
        return ((self.decoder(codes) - x).flatten(1).square().sum(1) + 1e-8).sqrt()

    def discriminator_loss(self, batch: Batch) -> Tensor:  # equation 1
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        real_energy = self.energy(batch.x, self.encoder(batch.x))
        return real_energy.mean() + F.relu(self.config.margin - self.energy(fake, self.encoder(fake))).mean()

    def generator_loss(self, batch: Batch) -> Tensor:  # equations 2 and 4
        fake = self.generate(len(batch.x), batch.rng)
        codes = self.encoder(fake)
        return self.energy(fake, codes).mean() + self.config.pt_weight * pulling_away(codes)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    features = encode

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))
