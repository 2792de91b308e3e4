"""Dual GAN with a linear discriminator: its inner minimum is dualised away, so generator and duals ascend one function.

Source      Li, Schwing, Wang & Zemel 2017, "Dualing GANs", section 3.1, with means for sums and features phi: `primal`
            and `dual` below. At the optimum w = (E (1 - l_x) phi(x) - E l_z phi(G(z))) / C and l = sigmoid(w.phi).
Departures  1. Batches are fresh, so duals start anew at 1/2 in each and take `dual_steps` steps of mirror ascent.
            2. Features: "identity" is the paper's linear discriminator on raw data, which sees means only; "fourier" is
               of random cosines, others in each batch: a generator of images can satisfy any few hundred fixed ones off
               the data; "learned" adds a network that descends the dual at the optimal duals.
Shapes      B batch, Z latent_dim, F features, *E event shape.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, Player, Positive, register
from ganbench.nn import MLP, make_generator


def binary_entropy_of(logits: Tensor) -> Tensor:
    """H(sigmoid(s)) in nats, stable for any s: elementwise."""
    return F.softplus(logits) - logits * torch.sigmoid(logits)


def weights(real: Tensor, fake: Tensor, s_real: Tensor, s_fake: Tensor, c: float) -> Tensor:
    """w of the discriminator that the duals sigmoid(s) stand for: (B, F), (B, F), (B,), (B,) -> (F,)."""
    return (torch.sigmoid(-s_real) @ real / len(real) - torch.sigmoid(s_fake) @ fake / len(fake)) / c


def dual(real: Tensor, fake: Tensor, s_real: Tensor, s_fake: Tensor, c: float) -> Tensor:
    """The dual function of features and logits s of the duals: (B, F), (B, F), (B,), (B,) -> ()."""
    w = weights(real, fake, s_real, s_fake, c)
    return -0.5 * c * w.square().sum() + binary_entropy_of(s_real).mean() + binary_entropy_of(s_fake).mean()


def primal(real: Tensor, fake: Tensor, w: Tensor, c: float) -> Tensor:
    """The regularised logistic loss that w minimises: (B, F), (B, F), (F,) -> ()."""
    return 0.5 * c * w.square().sum() + F.softplus(-real @ w).mean() + F.softplus(fake @ w).mean()


@torch.no_grad()
def ascend_duals(real: Tensor, fake: Tensor, c: float, steps: int) -> tuple[Tensor, Tensor]:
    """Mirror ascent on the duals sigmoid(s) from 1/2, never overshooting; its fixed point is s = w.phi."""
    s_real, s_fake = real.new_zeros(len(real)), fake.new_zeros(len(fake))
    # The quadratic's curvature is at most this trace over C; the entropy's is at least 4.
    trace = real.square().sum(1).mean() + fake.square().sum(1).mean()
    step = 1 / (1 + trace / (4 * c))
    for _ in range(steps):
        w = weights(real, fake, s_real, s_fake, c)
        s_real, s_fake = torch.lerp(s_real, real @ w, step), torch.lerp(s_fake, fake @ w, step)
    return s_real, s_fake


class FourierFeatures(nn.Module):
    """sqrt(2 / F) cos(omega x + b), omega of several scales: (B, *E) -> (B, F); |phi|^2 is 1 on average.

    Inner products of these features are, on average, sums of Gaussian kernels (Rahimi & Recht 2007, Theorem 1).
    """

    scale: Tensor  # (F,) of omega

    def __init__(self, n_features: int, bandwidths: tuple[float, ...]) -> None:
        super().__init__()
        which = torch.arange(n_features) % len(bandwidths)
        self.register_buffer("scale", 1 / torch.tensor(bandwidths)[which])

    def forward(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Of fresh frequencies and phases."""
        flat, n = x.flatten(1), len(self.scale)
        omega = self.scale * torch.randn(flat.shape[1], n, generator=rng, device=x.device)
        phase = 2 * math.pi * torch.rand(n, generator=rng, device=x.device)
        return (2 / n) ** 0.5 * torch.cos(flat @ omega + phase)


@register("dual_gan_linear", family="moment", paper="arXiv:1706.06216", version=2)
class DualGANLinear(GAN):
    class Config(GAN.Config):
        batch_size: Count = 256
        latent_dim: Count = 10
        features: Literal["identity", "fourier", "learned"] = "fourier"
        n_features: Count = 512
        bandwidths: tuple[Positive, ...] = (0.05, 0.2, 1.0, 5.0)  # of the cosines, times sqrt(D)
        c: Positive = 0.01  # C: how much the discriminator's norm costs; 1 and more for learned features
        dual_steps: Count = 10

    config: Config
    defaults = Defaults(image={"decay": "none", "bandwidths": (0.2, 0.4, 0.8)})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.generator = make_generator(spec, c)  # (B, Z) -> (B, *E)
        self.phi: nn.Module  # (B, *E) -> (B, F)
        if c.features == "identity":
            self.phi = nn.Flatten()
        elif c.features == "fourier":
            self.phi = FourierFeatures(c.n_features, tuple(b * spec.n_dims**0.5 for b in c.bandwidths))
        else:  # bounded, so that C and not the features' size says how sharp the discriminator is
            self.phi = MLP(spec.event_shape, c.hidden, (c.n_features,), out_activation=nn.Tanh)

    def players(self) -> list[Player]:
        generator = Player("generator", self.generator, self.generator_loss, self.adam)
        if self.config.features != "learned":
            return [generator]
        return [Player("features", self.phi, self.features_loss, self.adam), generator]

    def best_response(self, x: Tensor, generated: Tensor, rng: torch.Generator) -> Tensor:
        """The dual at the duals ascended for the features of a batch: (B, *E), (B, *E) -> ()."""
        c, both = self.config, torch.cat([x, generated])
        real, fake = (self.phi(both, rng) if c.features == "fourier" else self.phi(both)).tensor_split(2)
        return dual(real, fake, *ascend_duals(real, fake, c.c, c.dual_steps), c.c)

    def generator_loss(self, batch: Batch) -> Tensor:
        return -self.best_response(batch.x, self.generate(len(batch.x), batch.rng), batch.rng)

    def features_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return self.best_response(batch.x, fake, batch.rng)
