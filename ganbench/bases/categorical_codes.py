"""What adversarial autoencoders with a class beside the style share: two judges, four phases, classes to draw.

Source      Makhzani et al. 2015, "Adversarial Autoencoders", section 5.
Shapes      B batch, Z latent_dim (style), K classes, *E event shape.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.data import Batch, DataSpec
from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import Config, Count, Fraction, Model, Player, Positive
from ganbench.nn.mlp import MLP


class CategoricalAutoencoder(Model):
    """An encoder says a class and a style; a judge holds each to its prior, uniform one-hot classes and N(0, I).

    A subclass makes `encoder` (B, *E) -> (B, K + Z), what it decodes with, and calls `build_judges`.
    """

    class Config(Model.Config):
        batch_size: Count = 100
        labelled_batch_size: Count = 100
        latent_dim: Count = 2
        hidden: tuple[Count, ...] = (400, 400)  # of all four networks
        lr: Positive = 1e-3
        adversary_lr: Positive = 1e-3  # of the discriminators, and of the encoder in the regularisation phase
        label_lr: Positive = 1e-3  # of the encoder in the classification phase
        betas: tuple[Fraction, Fraction] = (0.5, 0.999)  # of the adversaries

    config: Config
    encoder: nn.Module

    def decode(self, y: Tensor, z: Tensor) -> Tensor:
        """Events of classes, as one-hot rows or probabilities, and styles: (B, K), (B, Z) -> (B, *E)."""
        raise NotImplementedError

    def coders(self) -> list[nn.Module]:
        """What the reconstruction phase moves."""
        raise NotImplementedError

    def classes_of(self, spec: DataSpec) -> int:
        """K. Raises `NotApplicable` for data without classes."""
        self.spec, self.n_classes = spec, spec.classes_for(self.name)
        return self.n_classes

    def build_judges(self) -> None:
        c, leaky = self.config, partial(nn.LeakyReLU, 0.2)
        self.class_judge = MLP((self.n_classes,), c.hidden, (), activation=leaky)  # (B, K) -> (B,)
        self.style_judge = MLP((c.latent_dim,), c.hidden, (), activation=leaky)  # (B, Z) -> (B,)

    def players(self) -> list[Player]:
        c, adam = self.config, torch.optim.Adam
        adversary = partial(adam, lr=c.adversary_lr, betas=c.betas)
        judges = nn.ModuleList([self.class_judge, self.style_judge])
        return [
            Player("autoencoder", nn.ModuleList(self.coders()), self.reconstruction_loss, partial(adam, lr=c.lr)),
            Player("discriminators", judges, self.discriminator_loss, adversary),
            Player("encoder", self.encoder, self.encoder_loss, adversary),
            Player("classifier", self.encoder, self.classifier_loss, partial(adam, lr=c.label_lr)),
        ]

    def infer(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Class probabilities q(y | x) and style: (B, *E) -> (B, K), (B, Z)."""
        logits, style = self.encoder(x).split([self.n_classes, self.config.latent_dim], 1)
        return logits.softmax(1), style

    def draw_prior(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """One-hot uniform classes and z ~ N(0, I): -> (n, K), (n, Z)."""
        y = torch.randint(self.n_classes, (n,), generator=rng, device=rng.device)
        z = torch.randn(n, self.config.latent_dim, generator=rng, device=rng.device)
        return F.one_hot(y, self.n_classes).to(z), z

    def reconstruction_loss(self, batch: Batch) -> Tensor:
        return (batch.x - self.reconstruct(batch.x)).square().flatten(1).sum(1).mean()

    def discriminator_loss(self, batch: Batch) -> Tensor:  # prior draws are real, what the encoder says is fake
        with torch.no_grad():
            y, z = self.infer(batch.x)
        real_y, real_z = self.draw_prior(len(z), batch.rng)
        of_class = discriminator_bce(self.class_judge(real_y), self.class_judge(y))
        return of_class + discriminator_bce(self.style_judge(real_z), self.style_judge(z))

    def encoder_loss(self, batch: Batch) -> Tensor:
        y, z = self.infer(batch.x)
        return generator_non_saturating(self.class_judge(y)) + generator_non_saturating(self.style_judge(z))

    def classifier_loss(self, batch: Batch) -> Tensor:
        x, y = batch.labelled
        return F.cross_entropy(self.classify(x), y)

    def classify(self, x: Tensor) -> Tensor:
        out: Tensor = self.encoder(x)
        return out[:, : self.n_classes]

    def sample(self, n: int, rng: torch.Generator, y: Tensor | None = None) -> Tensor:
        """Draw events of the classes y (n,), uniform ones by default."""
        drawn, z = self.draw_prior(n, rng)
        return self.decode(drawn if y is None else F.one_hot(y, self.n_classes).to(z), z)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(*self.infer(x))
