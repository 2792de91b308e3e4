"""InfoGAN: a GAN that keeps part of its noise readable, so that codes come to mean things without any label.

Source      Chen et al. 2016, "InfoGAN: Interpretable Representation Learning by Information Maximizing GANs",
            equations 5 and 6: L_I = E log Q(c | G(z, c)) + H(c), a lower bound of I(c; G(z, c)), joins both aims.
Departures  1. As in the authors' code, Q is a head on the discriminator's body and moves on its turn, on fakes;
               its Gaussians for the continuous codes have unit deviation.
            2. MLPs on the plane and 8x8 images; generators end in tanh; rectifiers of the discriminator leak 0.2 (the
               authors' 0.01, the paper 0.1).
Shapes      B batch, Z latent_dim (noise), K n_categories, C n_continuous, *E event shape.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.losses.likelihoods import gaussian_log_prob
from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, NonNegative, Player, Positive, Split, register
from ganbench.nn import make_pair
from ganbench.nn.moments import some_batches, take_moments


@register(
    "infogan",
    family="adversarial",
    paper="arXiv:1606.03657",
    gives=("sample", "features", "encode", "cluster", "vary"),
    version=4,
)
class InfoGAN(GAN):
    class Config(GAN.Config):
        batch_size: Annotated[int, Ge(2)] = 128  # batch norm needs two
        latent_dim: Count = 62  # incompressible noise beside the codes
        n_categories: Annotated[int, Ge(2)] = 10
        n_continuous: Annotated[int, Ge(0)] = 2
        info_weight: NonNegative = 1.0  # lambda
        generator_lr: Positive = 1e-3  # the discriminator's is lr

    config: Config
    defaults = Defaults(image={"lr": 2e-4, "decay": "none"})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        n_inputs = c.latent_dim + c.n_categories + c.n_continuous
        # (B, Z + K + C) -> (B, *E) -> (B,); the discriminator's features feed Q
        self.generator, self.discriminator = make_pair(spec, replace(c, latent_dim=n_inputs))
        n_features: Any = self.discriminator.n_features
        self.q_head = nn.Sequential(  # leak and batch norm are the authors' code's
            nn.Linear(n_features, 128, bias=False),
            nn.BatchNorm1d(128),
            nn.LeakyReLU(0.01),
            nn.Linear(128, c.n_categories + c.n_continuous),
        )

    def players(self) -> list[Player]:
        c = self.config
        adam = partial(torch.optim.Adam, betas=c.betas)
        judges = nn.ModuleList([self.discriminator, self.q_head])
        return [
            Player("discriminator", judges, self.discriminator_loss, partial(adam, lr=c.lr)),
            Player("generator", self.generator, self.generator_loss, partial(adam, lr=c.generator_lr)),
        ]

    def draw_codes(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Categories, uniform: -> (n,) int64; continuous codes, uniform on (-1, 1): -> (n, C)."""
        c = self.config
        category = torch.randint(c.n_categories, (n,), generator=rng, device=rng.device)
        return category, 2 * torch.rand(n, c.n_continuous, generator=rng, device=rng.device) - 1

    def draw_noise(self, n: int, rng: torch.Generator) -> Tensor:
        """What no code stands for, uniform on (-1, 1): -> (n, Z)."""
        return 2 * torch.rand(n, self.config.latent_dim, generator=rng, device=rng.device) - 1

    def generate_from(self, category: Tensor, continuous: Tensor, noise: Tensor) -> Tensor:
        """Events with these codes and noise: (B,), (B, C), (B, Z) -> (B, *E)."""
        one_hot = F.one_hot(category, self.config.n_categories).to(noise)
        return self.generator(torch.cat([noise, one_hot, continuous], 1))

    def generate(self, n: int, rng: torch.Generator) -> Tensor:
        return self.generate_from(*self.draw_codes(n, rng), self.draw_noise(n, rng))

    def vary(self, n: int, rng: torch.Generator) -> Tensor:
        """A row for each category and continuous code, which goes from -1 to 1 over the same noise: -> (K C, n, *E).

        Without continuous codes one row, along which the category changes.
        """
        c, device = self.config, rng.device
        noise, rows = self.draw_noise(1, rng), []
        for j in range(c.n_continuous):
            continuous = torch.zeros(n, c.n_continuous, device=device)
            continuous[:, j] = torch.linspace(-1, 1, n, device=device)
            for k in range(c.n_categories):
                category = torch.full((n,), k, device=device)
                rows.append(self.generate_from(category, continuous, noise.expand(n, -1)))
        if not rows:
            category = torch.arange(n, device=device) % c.n_categories
            rows = [self.generate_from(category, torch.zeros(n, 0, device=device), noise.expand(n, -1))]
        return torch.stack(rows)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Q(c | x): category logits and means of the continuous codes, whose deviation is 1: -> (B, K), (B, C)."""
        c = self.config
        logits, mean = self.q_head(self.features(x)).split([c.n_categories, c.n_continuous], 1)
        return logits, mean

    def information(self, x: Tensor, category: Tensor, continuous: Tensor) -> Tensor:
        """L_I in nats, at most the codes' mutual information with x: equation 5: (B, *E), (B,), (B, C) -> ()."""
        logits, mean = self.posterior(x)
        # A learned deviation could shrink without end, and its reward would drown the game: it is fixed.
        log_q = gaussian_log_prob(continuous, mean, mean.new_zeros(())) - F.cross_entropy(
            logits, category, reduction="none"
        )
        entropy = math.log(self.config.n_categories) + self.config.n_continuous * math.log(2)  # of U(-1, 1): log 2
        return log_q.mean() + entropy

    def discriminator_loss(self, batch: Batch) -> Tensor:
        category, continuous = self.draw_codes(len(batch.x), batch.rng)
        with torch.no_grad():
            fake = self.generate_from(category, continuous, self.draw_noise(len(batch.x), batch.rng))
        adversarial = discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))
        return adversarial - self.config.info_weight * self.information(fake, category, continuous)

    def generator_loss(self, batch: Batch) -> Tensor:  # equation 6
        category, continuous = self.draw_codes(len(batch.x), batch.rng)
        fake = self.generate_from(category, continuous, self.draw_noise(len(batch.x), batch.rng))
        adversarial = generator_non_saturating(self.discriminator(fake))
        return adversarial - self.config.info_weight * self.information(fake, category, continuous)

    def finish(self, data: Split, rng: torch.Generator) -> None:
        """Moments of real events for the discriminator and Q, which in training sees fakes alone."""
        judges = nn.ModuleList([self.discriminator, self.q_head])
        take_moments(judges, self.posterior, some_batches(data, self.config.batch_size, rng))

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        category, continuous = self.draw_codes(len(batch.x), batch.rng)
        fake = self.generate_from(category, continuous, self.draw_noise(len(batch.x), batch.rng))
        return {"information": self.information(fake, category, continuous)}

    def encode(self, x: Tensor) -> Tensor:
        """Category probabilities beside the means of the continuous codes: (B, *E) -> (B, K + C)."""
        logits, mean = self.posterior(x)
        return torch.cat([logits.softmax(1), mean], 1)

    def cluster(self, x: Tensor) -> Tensor:
        return self.posterior(x)[0].argmax(1)
