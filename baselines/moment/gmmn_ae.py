"""GMMN+AE: moments are matched in the code space of an autoencoder trained before, where distances mean more.

Source      Li, Swersky & Zemel 2015, "Generative Moment Matching Networks", section 4: GMMN in an autoencoder's codes.
Departures  1. The autoencoder takes the first share `pretrain` of the budget, all layers at once by squared error; the
               paper pretrains layer by layer and fine-tunes by cross entropy.
            2. Adam and batches of 256 for both parts; smaller networks; three kernel widths instead of sigma = 1 alone,
               which is the widest: codes lie in [0, 1].
Shapes      B batch, Z latent_dim, F code_dim, *E event shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.model import Batch, Budget, Config, Count, DataSpec, Fraction, Model, Player, Positive, Recipe, register
from ganbench.nn import MLP
from ganbench.ops.kernels import RBF, Kernel, mmd2


def moment_matching_loss(fake: Tensor, real: Tensor, kernel: Kernel) -> Tensor:
    """MMD of two batches of codes: (B, F), (B, F) -> ()."""
    return mmd2(fake, real, kernel).clamp(min=1e-7).sqrt()  # clamped at what float32 resolves


@register("gmmn_ae", family="moment", paper="arXiv:1502.02761", gives=("sample", "encode", "from_codes", "reconstruct"))
class GMMNAE(Model):
    @dataclass(frozen=True)
    class Config(Config):
        batch_size: Count = 256
        latent_dim: Count = 10
        code_dim: Count = 8
        autoencoder_hidden: tuple[Count, ...] = (128,)  # of the encoder; mirrored in the decoder
        hidden: tuple[Count, ...] = (128, 128)  # of the generator of codes
        dropout: Fraction = 0.0  # on the autoencoder's input; the paper drops 0.2
        bandwidths: tuple[Positive, ...] = (0.05, 0.2, 1.0)
        pretrain: Fraction = 0.4  # share of the budget
        lr: Positive = 1e-3

    config: Config
    on_images = {
        "code_dim": 32,
        "autoencoder_hidden": (512,),
        "hidden": (64, 256, 256, 1024),
        "dropout": 0.2,
        "bandwidths": (0.3, 0.6, 1.0),
    }
    recipes = (
        Recipe(
            dataset="mnist",
            config={"batch_size": 1000, "autoencoder_hidden": (1024,), "bandwidths": (1.0,)},
            budget=Budget(iterations=40_000),
            metric="parzen",
            published=282.0,
            spread="+-2 (SE)",
            protocol="10,000 samples, Parzen window on pixels in [0, 1], bandwidth on validation data",
            source="Li et al. 2015, Table 1",
            sure="secondary",
        ),
    )

    def build(self, spec: DataSpec) -> None:
        self.spec, c, code = spec, self.config, (self.config.code_dim,)
        out = nn.Identity if spec.domain is None else nn.Tanh
        self.encoder = MLP(spec.event_shape, c.autoencoder_hidden, code, out_activation=nn.Sigmoid)  # (B, *E) -> (B, F)
        self.decoder = MLP(code, c.autoencoder_hidden[::-1], spec.event_shape, out_activation=out)  # (B, F) -> (B, *E)
        self.generator = MLP((c.latent_dim,), c.hidden, code, out_activation=nn.Sigmoid)  # (B, Z) -> (B, F)
        self.autoencoder = nn.ModuleList([self.encoder, self.decoder])
        self.kernel = RBF(c.bandwidths)

    def players(self) -> list[Player]:
        c, adam = self.config, partial(torch.optim.Adam, lr=self.config.lr)
        return [
            Player("autoencoder", self.autoencoder, self.reconstruction_loss, adam, span=(0, c.pretrain)),
            Player("generator", self.generator, self.generator_loss, adam, span=(c.pretrain, 1)),
        ]

    def reconstruction_loss(self, batch: Batch) -> Tensor:
        x, p = batch.x, self.config.dropout
        keep = torch.rand(x.shape, generator=batch.rng, device=x.device) >= p
        return F.mse_loss(self.decoder(self.encoder(x * keep / (1 - p))), x)

    def generator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            codes = self.encoder(batch.x)
        return moment_matching_loss(self.generate_codes(len(batch.x), batch.rng), codes, self.kernel)

    def generate_codes(self, n: int, rng: torch.Generator) -> Tensor:
        """Codes of z uniform on (-1, 1): -> (n, F)."""
        out: Tensor = self.generator(2 * torch.rand(n, self.config.latent_dim, generator=rng, device=rng.device) - 1)
        return out

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        out: Tensor = self.decoder(self.generate_codes(n, rng))
        return out

    def encode(self, x: Tensor) -> Tensor:
        out: Tensor = self.encoder(x)
        return out

    def from_codes(self, z: Tensor) -> Tensor:
        out: Tensor = self.decoder(z)
        return out

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.from_codes(self.encode(x))
