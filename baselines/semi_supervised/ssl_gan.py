"""Improved GAN: a discriminator that classifies, with "fake" as one class more, learns from few labels and many images.

Source      Salimans et al. 2016, "Improved Techniques for Training GANs", sections 3.1 and 5; networks and constants
            are those of the authors' code: for CIFAR-10 and SVHN on 32x32 colour images, for MNIST elsewhere.
Departures  1. The average of the weights is corrected for its start, which moves nothing after 180,000 updates.
            2. Smaller networks on events below 100 numbers; on MNIST 10,000 training images are held out.
            3. Adam's eps is 1e-4: the authors' Adam uses sqrt(v + 1e-8), which equals it where v is small.
Shapes      B batch, L labelled, Z latent_dim, K classes, F features, *E event shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.model import (
    GAN,
    Batch,
    Count,
    DataSpec,
    Defaults,
    Fraction,
    NonNegative,
    NotApplicable,
    Player,
    Positive,
    Split,
    register,
)
from ganbench.nn import (
    EMA,
    DoublingGenerator,
    DropoutClassifier,
    NoisyClassifier,
    Softplus,
    WeightNormLinear,
    from_unit,
    to_unit,
)
from ganbench.nn.linear import Linear

CONV_LR = 3e-4
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
            layers += [Linear(latent_dim, width, bias=False), norm, Softplus()]
            latent_dim = width
        self.body = nn.Sequential(*layers)
        self.head = WeightNormLinear(latent_dim, spec.n_dims)
        for layer in self.body:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)

    def forward(self, z: Tensor) -> Tensor:
        out = self.head(self.body(z)).view(len(z), *self.spec.event_shape)
        return from_unit(torch.sigmoid(out), self.spec) if self.spec.domain else out


def convolutional(spec: DataSpec, config: Any) -> bool:
    """Whether this data gets the networks for CIFAR-10; raises `NotApplicable` where they are asked for and unfit."""
    sides = spec.event_shape[1:]
    if config.architecture == "conv" and sides != (32, 32):
        raise NotApplicable(f"ssl_gan's convolutions take images of 32x32 pixels; {spec.name} has {spec.event_shape}")
    return config.architecture == "conv" or (config.architecture == "auto" and spec.event_shape == (3, 32, 32))


@register(
    "ssl_gan",
    family="semi_supervised",
    paper="arXiv:1606.03498",
    gives=("sample", "classify", "features"),
    needs=("labels",),
    version=2,
)
class SemiSupervisedGAN(GAN):
    class Config(GAN.Config):
        batch_size: Count = 100
        labelled_batch_size: Count = 100
        latent_dim: Count = 100
        hidden: tuple[Count, ...] = (500, 500)  # of the MLPs: of the generator
        classifier: tuple[Count, ...] = (1000, 500, 250, 250, 250)
        input_noise: NonNegative = 0.3
        noise: NonNegative = 0.5
        filters: Count = 96  # of the first three convolutions, next to the image
        generator_filters: Count = 128  # next to the image
        lr: Positive = 3e-3  # of the MLPs; 3e-4 of the convolutions
        eps: Positive = 1e-4  # of Adam
        decay: Literal["none", "linear"] = "none"  # of the MLPs
        ema: Fraction = 0.9999

    config: Config
    discriminator: NoisyClassifier | DropoutClassifier
    defaults = Defaults(small={"hidden": (128, 128), "classifier": (250, 250, 250)})

    @classmethod
    def configure(cls, spec: DataSpec, /, **overrides: Any) -> Any:
        config = super().configure(spec, **overrides)
        return config.override(lr=CONV_LR) if convolutional(spec, config) and "lr" not in overrides else config

    def build(self, spec: DataSpec) -> None:
        self.spec, c, k = spec, self.config, spec.classes_for(self.name)
        self.conv = convolutional(spec, c)
        if self.conv:
            self.generator = DoublingGenerator(spec.event_shape[0], c.latent_dim, c.generator_filters)
            self.discriminator = DropoutClassifier(spec.event_shape[0], c.filters, k)
        else:
            self.generator = Generator(spec, c.latent_dim, c.hidden)  # (B, Z) -> (B, *E)
            self.discriminator = NoisyClassifier(spec.n_dims, c.classifier, k, c.input_noise, c.noise)
        self.average = EMA(self.discriminator, c.ema)

    def players(self) -> list[Player]:
        c = self.config

        def adam(parameters: Any, **fast: Any) -> torch.optim.Optimizer:
            return torch.optim.Adam(parameters, lr=c.lr, betas=c.betas, eps=c.eps, **fast)

        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, adam, after=self.average.update),
            Player("generator", self.generator, self.generator_loss, adam),
        ]

    @property
    def schedule(self) -> Callable[[float], float] | None:
        """Learning rates of the convolutions fall to 0 over the last third of the budget."""
        return (lambda share: min(1.0, 3 * (1 - share))) if self.conv else super().schedule

    def start(self, data: Split, rng: torch.Generator) -> None:
        some = torch.randperm(len(data), generator=rng, device=rng.device)[:INITIAL]
        self.discriminator.initialise(self.seen(data.events(some)), rng)
        if isinstance(self.generator, DoublingGenerator):
            self.generator.initialise(self.draw_latent(INITIAL, rng))

    def seen(self, x: Tensor) -> Tensor:
        """Events as the discriminator takes them, in [0, 1] where it is an MLP on images: (B, *E) -> (B, *E)."""
        return to_unit(x, self.spec) if self.spec.domain and not self.conv else x

    def draw_latent(self, n: int, rng: torch.Generator) -> Tensor:  # z ~ U(0, 1): -> (n, Z)
        return torch.rand(n, self.config.latent_dim, generator=rng, device=rng.device)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        x, y = batch.labelled
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        parts = [x, batch.x, fake]
        logits = self.discriminator(self.seen(torch.cat(parts)), batch.rng)  # (L + 2 B, K)
        labelled, real, made = logits.split([len(p) for p in parts])
        # The logit of "fake" is held at 0, so log p(real)/p(fake) = logsumexp of the K others: equation in section 5.
        unsupervised = F.softplus(-real.logsumexp(1)).mean() + F.softplus(made.logsumexp(1)).mean()
        return F.cross_entropy(labelled, y) + unsupervised / 2

    def generator_loss(self, batch: Batch) -> Tensor:
        """Section 3.1, with the mean over features of the authors' code: of squares, of magnitudes for convolutions."""
        with torch.no_grad():
            real = self.features_of(batch.x, batch.rng).mean(0)
        fake = self.features_of(self.generate(len(batch.x), batch.rng), batch.rng).mean(0)
        return (real - fake).abs().mean() if self.conv else (real - fake).square().mean()

    def features_of(self, x: Tensor, rng: torch.Generator | None) -> Tensor:
        """The discriminator's last hidden layer: (B, *E) -> (B, F)."""
        return self.discriminator.features(self.seen(x), rng)

    def features(self, x: Tensor) -> Tensor:
        return self.features_of(x, None)

    def classify(self, x: Tensor) -> Tensor:
        return self.average(self.seen(x))

    def classify_last(self, x: Tensor) -> Tensor:
        return self.discriminator(self.seen(x))
