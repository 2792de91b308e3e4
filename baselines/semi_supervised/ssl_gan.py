"""Improved GAN: a discriminator that classifies, with "fake" as one class more, learns from few labels and many images.

Source      Salimans et al. 2016, "Improved Techniques for Training GANs", sections 3.1 and 5; the MNIST networks and
            constants are those of the authors' code.
Departures  1. The average of the weights is corrected for its start, which moves nothing after 180,000 updates.
Shapes      B batch, L labelled, Z latent_dim, K classes, F features, *E event shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.model import (
    GAN,
    Batch,
    Budget,
    Count,
    DataSpec,
    Fraction,
    NonNegative,
    NotApplicable,
    Player,
    Positive,
    Recipe,
    Split,
    register,
)
from ganbench.nn import EMA, NoisyClassifier, WeightNormLinear, from_unit, to_unit
from ganbench.nn.linear import Linear

# Table 1: labels -> wrong of 10,000 over ten draws of the labels, with their standard deviation.
MNIST = {20: (1677, 452), 50: (221, 136), 100: (93, 6.5), 200: (90, 4.2)}
INITIAL = 500  # training examples that the initialisation looks at


class Generator(nn.Module):
    """Softplus layers under batch norm without gains, sigmoid out, scaled to the domain: (B, Z) -> (B, *E)."""

    def __init__(self, spec: DataSpec, latent_dim: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.spec = spec
        layers: list[nn.Module] = []
        for width in hidden:
            norm = nn.BatchNorm1d(width, eps=1e-6)
            nn.init.ones_(norm.weight).requires_grad_(False)  # no gain: only the shift is learned
            layers += [Linear(latent_dim, width, bias=False), norm, nn.Softplus()]
            latent_dim = width
        self.body = nn.Sequential(*layers)
        self.head = WeightNormLinear(latent_dim, spec.n_dims)
        for layer in self.body:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)

    def forward(self, z: Tensor) -> Tensor:
        out = self.head(self.body(z)).view(len(z), *self.spec.event_shape)
        return from_unit(torch.sigmoid(out), self.spec) if self.spec.domain else out


@register(
    "ssl_gan",
    family="semi_supervised",
    paper="arXiv:1606.03498",
    gives=("sample", "classify", "features"),
    needs=("labels",),
)
class SemiSupervisedGAN(GAN):
    @dataclass(frozen=True)
    class Config(GAN.Config):
        batch_size: Count = 100
        labelled_batch_size: Count = 100
        latent_dim: Count = 100
        hidden: tuple[Count, ...] = (500, 500)  # of the generator
        classifier: tuple[Count, ...] = (1000, 500, 250, 250, 250)
        input_noise: NonNegative = 0.3
        noise: NonNegative = 0.5
        lr: Positive = 3e-3
        decay: Literal["none", "linear"] = "none"
        ema: Fraction = 0.9999

    config: Config
    recipes = tuple(
        Recipe(
            "mnist",
            {},
            Budget(iterations=180_000),  # 300 epochs
            "classification_error",
            errors / 1e4,
            f"+-{std / 1e4:g} (std over 10 draws of the labels)",
            f"{labels} labels, permutation invariant, averaged weights, 10,000 test images",
            "arXiv:1606.03498, table 1",
            "verified",
        )
        for labels, (errors, std) in MNIST.items()
    )

    def build(self, spec: DataSpec) -> None:
        if spec.n_classes is None:
            raise NotApplicable(f"ssl_gan learns classes; {spec.name} has none")
        self.spec, c = spec, self.config
        self.generator = Generator(spec, c.latent_dim, c.hidden)  # (B, Z) -> (B, *E)
        self.discriminator = NoisyClassifier(spec.n_dims, c.classifier, spec.n_classes, c.input_noise, c.noise)
        self.average = EMA(self.discriminator, c.ema)

    def players(self) -> list[Player]:
        c = self.config

        def adam(parameters: Any, **fast: Any) -> torch.optim.Optimizer:
            return torch.optim.Adam(parameters, lr=c.lr, betas=c.betas, **fast)

        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, adam, after=self.average.update),
            Player("generator", self.generator, self.generator_loss, adam),
        ]

    def start(self, data: Split, rng: torch.Generator) -> None:
        some = torch.randperm(len(data), generator=rng, device=rng.device)[:INITIAL]
        self.discriminator.initialise(self.seen(data.events(some)), rng)

    def seen(self, x: Tensor) -> Tensor:
        """Events as the discriminator takes them, images in [0, 1]: (B, *E) -> (B, *E)."""
        return to_unit(x, self.spec) if self.spec.domain else x

    def draw_latent(self, n: int, rng: torch.Generator) -> Tensor:  # z ~ U(0, 1): -> (n, Z)
        return torch.rand(n, self.config.latent_dim, generator=rng, device=rng.device)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        assert batch.x_labelled is not None
        assert batch.y_labelled is not None
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        parts = [batch.x_labelled, batch.x, fake]
        logits = self.discriminator(self.seen(torch.cat(parts)), batch.rng)  # (L + 2 B, K)
        labelled, real, made = logits.split([len(p) for p in parts])
        # The logit of "fake" is held at 0, so log p(real)/p(fake) = logsumexp of the K others: equation in section 5.
        unsupervised = F.softplus(-real.logsumexp(1)).mean() + F.softplus(made.logsumexp(1)).mean()
        return F.cross_entropy(labelled, batch.y_labelled) + unsupervised / 2

    def generator_loss(self, batch: Batch) -> Tensor:  # section 3.1, with the mean over features of the authors' code
        with torch.no_grad():
            real = self.features_of(batch.x, batch.rng).mean(0)
        fake = self.features_of(self.generate(len(batch.x), batch.rng), batch.rng).mean(0)
        return (real - fake).square().mean()

    def features_of(self, x: Tensor, rng: torch.Generator | None) -> Tensor:
        """The discriminator's last hidden layer: (B, *E) -> (B, F)."""
        out: Tensor = self.discriminator.features(self.seen(x), rng)
        return out

    def features(self, x: Tensor) -> Tensor:
        return self.features_of(x, None)

    def classify(self, x: Tensor) -> Tensor:
        out: Tensor = self.average(self.seen(x))
        return out

    def classify_last(self, x: Tensor) -> Tensor:
        out: Tensor = self.discriminator(self.seen(x))
        return out
