"""AC-GAN: a generator told the class to draw, and a discriminator that says which class it sees beside real or fake.

Source      Odena et al. 2017, "Conditional Image Synthesis with Auxiliary Classifier GANs", equations 2 and 3: the
            discriminator maximises L_S + L_C, the generator L_C - L_S, with L_C over real events and fakes. As
            published it reads the labels of all training examples, so it is no row of tables with few labels.
Departures  1. The generator's part of L_S is -log D(G(z)), which does not saturate.
            2. No dropout in the discriminator; MLPs on vectors and 8x8 images.
Shapes      B batch, Z latent_dim, K classes, F features, *E event shape.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, NonNegative, Player, register
from ganbench.nn import make_pair


@register(
    "acgan",
    family="semi_supervised",
    paper="arXiv:1610.09585",
    gives=("sample", "classify", "features"),
    needs=("y",),
    version=4,
)
class ACGAN(GAN):
    class Config(GAN.Config):
        batch_size: Count = 100
        latent_dim: Count = 100
        class_weight: NonNegative = 1.0  # of L_C

    config: Config
    defaults = Defaults(image={"lr": 2e-4, "decay": "none"})

    def build(self, spec: DataSpec) -> None:
        self.spec, self.n_classes, c = spec, spec.classes_for(self.name), self.config
        # (B, Z + K) -> (B, *E) -> (B,); the discriminator's features feed the classes' head
        self.generator, self.discriminator = make_pair(spec, replace(c, latent_dim=c.latent_dim + self.n_classes))
        self.class_head = nn.Linear(self.discriminator.n_features, self.n_classes)  # type: ignore[arg-type]

    def players(self) -> list[Player]:
        judges = nn.ModuleList([self.discriminator, self.class_head])
        return [
            Player("discriminator", judges, self.discriminator_loss, self.adam),
            Player("generator", self.generator, self.generator_loss, self.adam),
        ]

    def judge(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of real against fake and of the classes, both of the same features: (B, *E) -> (B,), (B, K)."""
        f = self.features(x)
        return self.discriminator.head(f).flatten(), self.class_head(f)  # type: ignore[operator]

    def generate_classes(self, y: Tensor, rng: torch.Generator) -> Tensor:
        """An event of each class, with gradients: (n,) -> (n, *E)."""
        z = self.draw_latent(len(y), rng)
        return self.generator(torch.cat([z, F.one_hot(y, self.n_classes).to(z)], 1))

    def draw_classes(self, n: int, rng: torch.Generator) -> Tensor:
        """Classes, uniform: -> (n,) int64."""
        return torch.randint(self.n_classes, (n,), generator=rng, device=rng.device)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        assert batch.y is not None
        y = self.draw_classes(len(batch.x), batch.rng)
        with torch.no_grad():
            fake = self.generate_classes(y, batch.rng)
        (real_source, real_class), (fake_source, fake_class) = self.judge(batch.x), self.judge(fake)
        classes = F.cross_entropy(real_class, batch.y) + F.cross_entropy(fake_class, y)
        return discriminator_bce(real_source, fake_source) + self.config.class_weight * classes

    def generator_loss(self, batch: Batch) -> Tensor:
        y = self.draw_classes(len(batch.x), batch.rng)
        source, classes = self.judge(self.generate_classes(y, batch.rng))
        return generator_non_saturating(source) + self.config.class_weight * F.cross_entropy(classes, y)

    def sample(self, n: int, rng: torch.Generator, y: Tensor | None = None) -> Tensor:
        """Draw n events of the classes y (n,), or of uniform ones: -> (n, *E)."""
        return self.generate_classes(self.draw_classes(n, rng) if y is None else y, rng)

    def classify(self, x: Tensor) -> Tensor:
        return self.judge(x)[1]
