"""Supervised adversarial autoencoder: the decoder is told the class, so the code is left with style.

Source      Makhzani et al. 2015, "Adversarial Autoencoders", section 4: a one-hot class beside the code enters the
            decoder; a discriminator pulls all codes together, whatever their class, to one Gaussian.
Departures  1. Adam instead of SGD with momentum; 400 units a layer instead of 1000; 128 units and a
               style of 2 numbers on events below 100.
            2. The prior has unit deviation; the paper's likelihood runs use 5. Adam's steps have one size however small
               the gradient: on 28x28 pixels the adversaries' rate is a tenth, or their phase undoes the other.
Shapes      B batch, Z latent_dim, K classes, *E event shape.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import Batch, Count, DataSpec, Defaults, Fraction, Model, Player, Positive, register
from ganbench.nn import MLP


@register(
    "aae_supervised",
    family="semi_supervised",
    paper="arXiv:1511.05644",
    gives=("sample", "encode"),
    needs=("y",),
    version=2,
)
class SupervisedAAE(Model):
    class Config(Model.Config):
        batch_size: Count = 100
        latent_dim: Count = 2
        hidden: tuple[Count, ...] = (400, 400)  # of all three networks
        prior_std: Positive = 1.0
        lr: Positive = 1e-3
        adversary_lr: Positive = 1e-3  # of the discriminator, and of the encoder in the regularisation phase
        betas: tuple[Fraction, Fraction] = (0.5, 0.999)  # of the adversaries

    config: Config
    defaults = Defaults(  # more style would take the class in
        image={"latent_dim": 15, "adversary_lr": 1e-4},
        small={"batch_size": 50, "latent_dim": 2, "hidden": (128, 128), "adversary_lr": 1e-3},
    )

    def build(self, spec: DataSpec) -> None:
        self.spec, self.n_classes, c = spec, spec.classes_for(self.name), self.config
        out = nn.Identity if spec.domain is None else nn.Tanh
        self.encoder = MLP(spec.event_shape, c.hidden, (c.latent_dim,))  # (B, *E) -> (B, Z)
        self.decoder = MLP((self.n_classes + c.latent_dim,), c.hidden, spec.event_shape, out_activation=out)
        self.discriminator = MLP((c.latent_dim,), c.hidden, (), activation=lambda: nn.LeakyReLU(0.2))  # (B, Z) -> (B,)

    def players(self) -> list[Player]:
        c = self.config
        adversary = partial(torch.optim.Adam, lr=c.adversary_lr, betas=c.betas)
        pair = nn.ModuleList([self.encoder, self.decoder])
        return [
            Player("autoencoder", pair, self.reconstruction_loss, partial(torch.optim.Adam, lr=c.lr)),
            Player("discriminator", self.discriminator, self.discriminator_loss, adversary),
            Player("encoder", self.encoder, self.encoder_loss, adversary),
        ]

    def draw_prior(self, n: int, rng: torch.Generator) -> Tensor:
        """z ~ N(0, prior_std^2 I): -> (n, Z)."""
        return self.config.prior_std * torch.randn(n, self.config.latent_dim, generator=rng, device=rng.device)

    def decode(self, y: Tensor, z: Tensor) -> Tensor:
        """(B,), (B, Z) -> (B, *E)."""
        return self.decoder(torch.cat([F.one_hot(y, self.n_classes).to(z), z], 1))

    def reconstruction_loss(self, batch: Batch) -> Tensor:
        assert batch.y is not None
        made = self.decode(batch.y, self.encoder(batch.x))
        return (batch.x - made).square().flatten(1).sum(1).mean()

    def discriminator_loss(self, batch: Batch) -> Tensor:  # prior draws are real, codes are fake
        with torch.no_grad():
            codes = self.encoder(batch.x)
        return discriminator_bce(self.discriminator(self.draw_prior(len(codes), batch.rng)), self.discriminator(codes))

    def encoder_loss(self, batch: Batch) -> Tensor:
        return generator_non_saturating(self.discriminator(self.encoder(batch.x)))

    def sample(self, n: int, rng: torch.Generator, y: Tensor | None = None) -> Tensor:
        """Draw events of the classes y (n,), uniform ones by default."""
        y = torch.randint(self.n_classes, (n,), generator=rng, device=rng.device) if y is None else y
        return self.decode(y, self.draw_prior(n, rng))

    def encode(self, x: Tensor) -> Tensor:
        """Style alone: (B, *E) -> (B, Z)."""
        return self.encoder(x)
