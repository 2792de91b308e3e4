"""PacGAN: the discriminator judges several samples at once, so that a generator with too few modes gives itself away.

Source      Lin et al. 2018, "PacGAN: The power of two samples in generative adversarial networks", section 2 and 4.1.
Departures  1. The shared small networks; `networks="paper"` are those of section 4.1's mixtures.
            2. Players take turns; the authors' code moves both at the same point.
Shapes      B batch, m pack, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import GAN, Batch, Budget, Count, DataSpec, NotApplicable, Recipe, register
from ganbench.nn import (
    MaxoutDiscriminator,
    check_pack,
    make_discriminator,
    make_generator,
    mlp_generator,
    pack,
    packed_spec,
)


def mixture_recipe(dataset: str, m: int, metric: str, published: float, spread: str) -> Recipe:
    """One cell of the paper's table 1: 400 epochs over 100,000 points in batches of 100 packs."""
    config: dict[str, Any] = {"networks": "paper", "pack": m, "batch_size": 100 * m, "latent_dim": 2}
    config |= {"lr": 1e-4, "betas": (0.8, 0.999)}
    protocol = "2,500 samples; high quality within 3 std of a mode, a mode counts with one such sample; mean of 10 runs"
    source = "arXiv:1712.04086, table 1; settings from the authors' code, whose old Adam may have meant betas[0] = 0.2"
    return Recipe(dataset, config, Budget(iterations=400_000), metric, published, spread, protocol, source, "verified")


@register("pacgan", family="adversarial", paper="arXiv:1712.04086")
class PacGAN(GAN):
    @dataclass(frozen=True)
    class Config(GAN.Config):
        pack: Count = 2  # m; 1 is the plain GAN that the paper compares with
        networks: Literal["shared", "paper"] = "shared"

        def __post_init__(self) -> None:
            super().__post_init__()
            check_pack(self.batch_size, self.pack)

    config: Config
    recipes = (
        mixture_recipe("ring8", 1, "modes", 6.3, "+-0.5 (SE of 10 runs)"),
        mixture_recipe("ring8", 1, "high_quality", 0.982, "+-0.002 (SE of 10 runs)"),
        mixture_recipe("ring8", 2, "modes", 7.9, "+-0.1 (SE of 10 runs)"),
        mixture_recipe("ring8", 2, "high_quality", 0.956, "+-0.020 (SE of 10 runs)"),
        mixture_recipe("ring8", 3, "modes", 7.8, "+-0.1 (SE of 10 runs)"),
        mixture_recipe("ring8", 3, "high_quality", 0.977, "+-0.003 (SE of 10 runs)"),
        mixture_recipe("ring8", 4, "modes", 7.8, "+-0.1 (SE of 10 runs)"),
        mixture_recipe("ring8", 4, "high_quality", 0.959, "+-0.014 (SE of 10 runs)"),
        mixture_recipe("grid25", 1, "modes", 17.3, "+-0.8 (SE of 10 runs)"),
        mixture_recipe("grid25", 1, "high_quality", 0.948, "+-0.007 (SE of 10 runs)"),
        mixture_recipe("grid25", 2, "modes", 23.8, "+-0.7 (SE of 10 runs)"),
        mixture_recipe("grid25", 2, "high_quality", 0.913, "+-0.008 (SE of 10 runs)"),
        mixture_recipe("grid25", 3, "modes", 24.6, "+-0.4 (SE of 10 runs)"),
        mixture_recipe("grid25", 3, "high_quality", 0.942, "+-0.004 (SE of 10 runs)"),
        mixture_recipe("grid25", 4, "modes", 24.8, "+-0.2 (SE of 10 runs)"),
        mixture_recipe("grid25", 4, "high_quality", 0.936, "+-0.006 (SE of 10 runs)"),
    )

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        packed = packed_spec(spec, c.pack)
        if c.networks == "paper":
            if spec.is_image:
                raise NotApplicable("networks='paper' are the mixtures' networks and take vectors; use 'shared'")
            self.generator = mlp_generator(spec, c.latent_dim, (400,) * 4, norm=nn.BatchNorm1d)
            self.discriminator = MaxoutDiscriminator(packed.event_shape, (200,) * 3)
            for p in [*self.generator.parameters(), *self.discriminator.parameters()]:
                if p.ndim > 1:
                    nn.init.normal_(p, 0.0, 0.02)
        else:
            self.generator = make_generator(spec, c)  # (B, Z) -> (B, *E)
            self.discriminator = make_discriminator(packed, c)  # (B / m, m E) -> (B / m,)

    def features(self, x: Tensor) -> Tensor:
        raise NotApplicable("pacgan has no features of one example: its discriminator sees packs")

    def judge(self, x: Tensor) -> Tensor:  # (B, *E) -> (B / m,)
        out: Tensor = self.discriminator(pack(x, self.config.pack))
        return out

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return discriminator_bce(self.judge(batch.x), self.judge(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_non_saturating(self.judge(self.generate(len(batch.x), batch.rng)))
