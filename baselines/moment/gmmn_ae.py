"""GMMN+AE: moments are matched in the code space of an autoencoder trained before, where distances mean more.

Source      Li, Swersky & Zemel 2015, "Generative Moment Matching Networks", section 4: GMMN in an autoencoder's codes.
Departures  1. The autoencoder takes the share `pretrain` of the budget, all layers at once; by default it has ReLU
               and squared error instead of sigmoids, dropout of hidden units and cross entropy (the recipe has them).
               The authors train each layer for 3,000 updates of 100 images before all of them (recipe: all at once).
            2. Adam instead of SGD with momentum; batches of 256, smaller networks and three kernel widths instead of
               sigma = 1 alone, which is the widest: codes lie in [0, 1] (the recipe keeps the paper's but for Adam).
Shapes      B batch, Z latent_dim, F code_dim, *E event shape.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.bases.outputs import Output, check_output, output_mean
from ganbench.losses.likelihoods import bernoulli_log_prob
from ganbench.model import Batch, Count, DataSpec, Defaults, Fraction, Model, Player, Positive, register
from ganbench.nn import MLP, to_unit
from ganbench.ops.kernels import RBF, Kernel, mmd2


def moment_matching_loss(fake: Tensor, real: Tensor, kernel: Kernel) -> Tensor:
    """MMD of two batches of codes: (B, F), (B, F) -> ()."""
    return mmd2(fake, real, kernel).clamp(min=1e-7).sqrt()  # clamped at what float32 resolves


def drop(x: Tensor, p: float, rng: torch.Generator) -> Tensor:
    """Each number zero with probability p, the others scaled up to keep the mean."""
    return x * (torch.rand(x.shape, generator=rng, device=x.device) >= p) / (1 - p)


@register("gmmn_ae", family="moment", paper="arXiv:1502.02761", gives=("sample", "encode", "from_codes", "reconstruct"))
class GMMNAE(Model):
    class Config(Model.Config):
        batch_size: Count = 256
        latent_dim: Count = 10
        code_dim: Count = 8
        autoencoder_batch: Count | None = None  # examples of a batch that the autoencoder sees; None: all
        autoencoder_hidden: tuple[Count, ...] = (128,)  # of the encoder; mirrored in the decoder
        hidden: tuple[Count, ...] = (128, 128)  # of the generator of codes
        dropout: Fraction = 0.0  # on the autoencoder's input; the paper drops 0.2
        hidden_dropout: Fraction = 0.0  # on the encoder's last hidden layer; the paper drops 0.5
        activation: Literal["relu", "sigmoid"] = "relu"  # of the autoencoder
        output: Output = "gaussian"  # squared error, or cross entropy
        bandwidths: tuple[Positive, ...] = (0.05, 0.2, 1.0)
        pretrain: Fraction = 0.4  # share of the budget
        lr: Positive = 1e-3

    config: Config
    defaults = Defaults(
        image={
            "code_dim": 32,
            "autoencoder_hidden": (512,),
            "hidden": (64, 256, 256, 1024),
            "dropout": 0.2,
            "bandwidths": (0.3, 0.6, 1.0),
        }
    )

    def build(self, spec: DataSpec) -> None:
        self.spec, c, code = spec, self.config, (self.config.code_dim,)
        check_output(spec, c.output)
        unit = nn.ReLU if c.activation == "relu" else nn.Sigmoid
        out = nn.Identity if spec.domain is None or c.output == "bernoulli" else nn.Tanh
        wide = c.autoencoder_hidden
        self.encoder = MLP(
            spec.event_shape, wide, code, activation=unit, out_activation=nn.Sigmoid
        )  # (B, *E) -> (B, F)
        self.decoder = MLP(code, wide[::-1], spec.event_shape, activation=unit, out_activation=out)  # logits or means
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
        c = self.config
        x = batch.x[: c.autoencoder_batch]
        h = self.encoder.features(drop(x, c.dropout, batch.rng))
        if c.hidden_dropout:
            h = drop(h, c.hidden_dropout, batch.rng)
        out = self.decoder(self.encoder.head(h))
        if c.output == "bernoulli":
            return -bernoulli_log_prob(to_unit(x, self.spec), out).mean()
        return F.mse_loss(out, x)

    def generator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            codes = self.encoder(batch.x)
        return moment_matching_loss(self.generate_codes(len(batch.x), batch.rng), codes, self.kernel)

    def generate_codes(self, n: int, rng: torch.Generator) -> Tensor:
        """Codes of z uniform on (-1, 1): -> (n, F)."""
        return self.generator(2 * torch.rand(n, self.config.latent_dim, generator=rng, device=rng.device) - 1)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.from_codes(self.generate_codes(n, rng))

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def from_codes(self, z: Tensor) -> Tensor:
        return output_mean(self.decoder(z), self.spec, self.config.output)
