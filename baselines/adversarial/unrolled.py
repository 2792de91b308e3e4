"""Unrolled GAN: the generator plays against the discriminator that would answer it after k more steps.

Source      Metz et al. 2017, "Unrolled Generative Adversarial Networks", equations 7 to 10, k = 5.
Departures  1. The shared small networks and learning rates; `networks="paper"` are those of the authors' mixtures, the
               architectures `stacked_half` and `stacked_quarter` those of their stacked MNIST.
            2. The generator descends the unrolled value itself, as the paper writes it; `generator="non_saturating"`
               takes -E log D_k(G(z)) at the same unrolled discriminator.
            3. The shared convolutions have no batch norm in the discriminator, whose running moments unrolled steps
               would move, and no dense layers. With both, MNIST gave one image on each of three seeds: the
               discriminator's loss fell to 0.01, and the unrolled value saturates where it wins. Without, it comes
               back from there and stays near 1.2, and the samples are digits (Frechet distance 10.8; one seed).
Known       With the networks, rates and batches of the authors' stacked MNIST the discriminator's loss falls to zero
            within 1,500 iterations on MNIST.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Adam

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.losses.unroll import unroll
from ganbench.model import GAN, Batch, Budget, DataSpec, NotApplicable, Player, Positive, Recipe, register
from ganbench.nn import (
    NAMED,
    generator_norm,
    make_discriminator,
    make_generator,
    mlp_discriminator,
    mlp_generator,
)

# The authors' table of stacked MNIST, as PacGAN's table 3 repeats it: (size of D, k) -> modes, KL, standard errors.
SMALL: dict[tuple[str, int], tuple[float, float, str, str]] = {
    ("quarter", 1): (65.4, 5.91, "+-34.75", "+-0.14"),
    ("quarter", 5): (236.4, 4.67, "+-63.30", "+-0.43"),
    ("quarter", 10): (327.2, 4.66, "+-74.67", "+-0.46"),
    ("half", 1): (523.6, 2.44, "", ""),
    ("half", 5): (732.0, 1.66, "", ""),
    ("half", 10): (817.4, 1.43, "+-37.91", "+-0.12"),
}


def stacked_recipes() -> Iterator[Recipe]:
    """Stacked MNIST: the authors' own runs, and VEEGAN's, which says no more than that it used five steps."""
    config: dict[str, Any] = {"batch_size": 128, "latent_dim": 256, "lr": 1e-4, "discriminator_lr": 2e-4}
    config |= {"betas": (0.5, 0.99), "decay": "none"}
    protocol = "26,000 samples (25,600 in the authors' runs) through a digit classifier on each channel"
    rows: list[tuple[str, int, tuple[float, float, str, str], str]] = [
        (size, k, values, "Metz et al. 2017, in PacGAN (arXiv:1712.04086), table 3; settings of PacGAN's code")
        for (size, k), values in SMALL.items()
    ]
    veegan = "VEEGAN, arXiv:1705.07761, table 2, which gives no settings: those of the authors' D = G/2"
    rows.append(("half", 5, (48.7, 4.32, "", ""), veegan))
    for size, k, (modes, kl, *spreads), source in rows:
        for name, value, spread in zip(("", "_reverse_kl"), (modes, kl), spreads, strict=True):
            yield Recipe(
                "stacked_mnist",
                config | {"architecture": f"stacked_{size}", "k": k},
                Budget(iterations=500_000),
                f"classified_modes{name}",
                value,
                spread or "mean",
                protocol,
                source,
                "verified",
                n_samples=26_000,
                label=f"paper {size} D k={k}",
            )


@register("unrolled", family="adversarial", paper="arXiv:1611.02163", gives=("sample", "features"), version=4)
class UnrolledGAN(GAN):
    @dataclass(frozen=True)
    class Config(GAN.Config):
        k: Annotated[int, Ge(0)] = 5  # unrolled steps of the discriminator
        generator: Literal["value", "non_saturating"] = "value"
        networks: Literal["shared", "paper"] = "shared"
        discriminator_lr: Positive | None = None  # None: as the generator's

    config: Config
    optimizer: Adam | None = None  # the discriminator's, whose steps are unrolled
    mixtures = tuple(
        Recipe(
            dataset,
            {"networks": "paper", "hidden": (128, 128), "latent_dim": 256, "batch_size": 512, "k": 5, "lr": 1e-3}
            | {"discriminator_lr": 1e-4, "betas": (0.5, 0.999), "decay": "none"},
            Budget(iterations=25_000),
            metric,
            published,
            "mean of 5 runs",
            "2,500 samples; high quality within 3 std of a mode; settings of the unrolled authors' notebook",
            "VEEGAN, arXiv:1705.07761, table 1, which reports unrolled GANs without their settings",
            "secondary",
            label="paper",
        )
        for dataset, metric, published in (
            ("ring8", "modes", 7.6),
            ("ring8", "modes_hq", 0.356),
            ("grid25", "modes", 23.6),
            ("grid25", "modes_hq", 0.16),
        )
    )
    recipes = (*mixtures, *stacked_recipes())

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        if c.networks == "shared":
            norm, coupled = generator_norm(spec, c), c.architecture in NAMED  # those of a paper have their own norms
            self.generator = make_generator(spec, c, norm, dense=False)  # (B, Z) -> (B, *E)
            self.discriminator = make_discriminator(spec, c, coupled=coupled, dense=False)  # (B, *E) -> (B,)
            return
        if spec.is_image:
            raise NotApplicable("networks='paper' are the mixtures' networks and take vectors; use 'shared'")
        self.generator = mlp_generator(spec, c.latent_dim, c.hidden, activation=nn.Tanh)
        self.discriminator = mlp_discriminator(spec, c.hidden, activation=nn.Tanh)
        for layer in (*self.generator.modules(), *self.discriminator.modules()):
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight, 1.4)
                nn.init.zeros_(layer.bias)

    def players(self) -> list[Player]:
        c = self.config

        def adam(parameters: Any, **fast: Any) -> Adam:
            return Adam(parameters, lr=c.lr, betas=c.betas, **fast)

        def remembered(parameters: Any, **fast: Any) -> Adam:
            self.optimizer = Adam(parameters, lr=c.discriminator_lr or c.lr, betas=c.betas, **fast)
            return self.optimizer

        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, remembered),
            Player("generator", self.generator, self.generator_loss, adam),
        ]

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        real, fake = batch.x, self.generate(len(batch.x), batch.rng)

        def logits(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
            out: Tensor = functional_call(self.discriminator, parameters, (x,))
            return out

        def loss(parameters: dict[str, Tensor]) -> Tensor:
            return discriminator_bce(logits(parameters, real), logits(parameters, fake))

        after = unroll(self.discriminator, self.optimizer, loss, self.config.k)  # equations 7 and 8
        if self.config.generator == "value":
            return -loss(after)  # equation 10: the real term too depends on G, through the discriminator's steps
        return generator_non_saturating(logits(after, fake))
