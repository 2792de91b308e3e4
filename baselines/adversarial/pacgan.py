"""PacGAN: the discriminator judges several samples at once, so that a generator with too few modes gives itself away.

Source      Lin et al. 2018, "PacGAN: The power of two samples in generative adversarial networks", section 2 and 4.1.
Departures  1. The shared small networks; `networks="paper"` are section 4's for mixtures, the architectures `stacked`,
               `stacked_half` and `stacked_quarter` those of its stacked MNIST.
            2. Players take turns, except under `networks="paper"`, where both move from the same point as in the
               authors' code. That norms the first members of all packs together, then the second; here all at once.
Shapes      B batch, m pack, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import GAN, Batch, Budget, Count, DataSpec, NotApplicable, Player, Positive, Recipe, register
from ganbench.nn import (
    MaxoutDiscriminator,
    check_pack,
    generator_norm,
    make_discriminator,
    make_generator,
    mlp_generator,
    pack,
    packed_spec,
)

# Table 1: (data set, m) -> modes, share of high quality, reverse KL, each with its standard error over 10 runs.
MIXTURES: dict[tuple[str, int], tuple[float, ...]] = {
    ("ring8", 1): (6.3, 0.5, 0.982, 0.002, 0.45, 0.09),
    ("ring8", 2): (7.9, 0.1, 0.956, 0.020, 0.07, 0.03),
    ("ring8", 3): (7.8, 0.1, 0.977, 0.003, 0.10, 0.02),
    ("ring8", 4): (7.8, 0.1, 0.959, 0.014, 0.07, 0.02),
    ("grid25", 1): (17.3, 0.8, 0.948, 0.007, 0.70, 0.07),
    ("grid25", 2): (23.8, 0.7, 0.913, 0.008, 0.13, 0.04),
    ("grid25", 3): (24.6, 0.4, 0.942, 0.004, 0.06, 0.02),
    ("grid25", 4): (24.8, 0.2, 0.936, 0.006, 0.04, 0.01),
}
# Stacked MNIST, table 2: m -> modes, KL, with standard errors where they are at hand.
STACKED: dict[int, tuple[float, float, str, str]] = {
    1: (78.9, 4.50, "+-6.46", "+-0.127"),
    2: (1000.0, 0.06, "", "+-0.003"),
    3: (1000.0, 0.06, "", ""),
    4: (1000.0, 0.07, "", ""),
}
# Table 3: (discriminator's share of the generator's size, m) -> the same.
SMALL: dict[tuple[str, int], tuple[float, float, str, str]] = {
    ("quarter", 1): (78.5, 5.21, "+-17.56", "+-0.19"),
    ("quarter", 2): (484.5, 2.61, "", ""),
    ("quarter", 3): (601.3, 2.00, "", ""),
    ("quarter", 4): (667.4, 1.81, "", ""),
    ("half", 1): (487.7, 2.24, "", ""),
    ("half", 2): (840.7, 1.00, "", ""),
    ("half", 3): (866.6, 0.90, "", ""),
    ("half", 4): (820.2, 1.15, "", ""),
}


def mixture_recipes() -> Iterator[Recipe]:
    """400 epochs over 100,000 points in batches of 100 packs; lr and betas from the authors' code."""
    for (dataset, m), (modes, modes_se, quality, quality_se, kl, kl_se) in MIXTURES.items():
        config: dict[str, Any] = {"networks": "paper", "pack": m, "batch_size": 100 * m, "latent_dim": 2}
        config |= {"lr": 1e-4, "betas": (0.8, 0.999), "decay": "none"}
        for metric, value, se in (
            ("modes", modes, modes_se),
            ("modes_hq", quality, quality_se),
            ("modes_reverse_kl", kl, kl_se),
        ):
            yield Recipe(
                dataset,
                config,
                Budget(iterations=400_000),
                metric,
                value,
                f"+-{se:g} (SE of 10 runs)",
                "2,500 samples; high quality within 3 std of a mode; a mode counts with one such sample",
                "arXiv:1712.04086, table 1; the old Adam of the authors' code may have meant betas[0] = 0.2",
                "verified",
                label=f"paper m={m}",
            )


def stacked_recipes() -> Iterator[Recipe]:
    """VEEGAN's setting and unrolled GANs'.

    50 epochs over 128,000 packs in batches of 64 with two generator updates each; and 500,000 batches of 128 packs,
    under smaller discriminators.
    """
    said = "26,000 samples through a digit classifier on each channel; "
    for m, values in STACKED.items():
        config: dict[str, Any] = {"architecture": "stacked", "pack": m, "batch_size": 64 * m, "latent_dim": 100}
        config |= {"generator_updates": 2, "lr": 2e-4, "betas": (0.5, 0.999), "decay": "none"}
        protocol = said + "digits from training and test images, in [0, 1] under a tanh generator (ours in [-1, 1])"
        source = "arXiv:1712.04086, table 2"
        yield from stacked_pair(config, Budget(iterations=100_000), values, protocol, source, f"paper m={m}")
    for (size, m), values in SMALL.items():
        config = {"architecture": f"stacked_{size}", "pack": m, "batch_size": 128 * m, "latent_dim": 256}
        config |= {"lr": 1e-4, "discriminator_lr": 2e-4, "betas": (0.5, 0.99), "decay": "none"}
        protocol = said + "theirs are 25,600, of digits stacked anew for every batch"
        source = "arXiv:1712.04086, table 3"
        label = f"paper {size} D m={m}"
        yield from stacked_pair(config, Budget(iterations=500_000), values, protocol, source, label)


def stacked_pair(
    config: dict[str, Any],
    budget: Budget,
    values: tuple[float, float, str, str],
    protocol: str,
    source: str,
    label: str,
) -> Iterator[Recipe]:
    modes, kl, *spreads = values
    for name, value, spread in zip(("", "_reverse_kl"), (modes, kl), spreads, strict=True):
        metric = f"classified_modes{name}"
        spread = f"{spread} (SE)" if spread else "mean"
        yield Recipe(
            "stacked_mnist",
            config,
            budget,
            metric,
            value,
            spread,
            protocol,
            source,
            "verified",
            n_samples=26_000,
            label=label,
        )


@register("pacgan", family="adversarial", paper="arXiv:1712.04086", version=4)
class PacGAN(GAN):
    @dataclass(frozen=True)
    class Config(GAN.Config):
        pack: Count = 2  # m; 1 is the plain GAN that the paper compares with
        generator_updates: Count = 1
        discriminator_lr: Positive | None = None  # None: as the generator's
        networks: Literal["shared", "paper"] = "shared"

        def __post_init__(self) -> None:
            super().__post_init__()
            check_pack(self.batch_size, self.pack)

    config: Config
    recipes = (*mixture_recipes(), *stacked_recipes())

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        packed = packed_spec(spec, c.pack)
        if c.networks == "paper" and spec.is_image:
            raise NotApplicable("networks='paper' are the mixtures' and take vectors; use architecture='stacked'")
        if c.networks == "paper" and (c.generator_updates > 1 or c.discriminator_lr):
            raise NotApplicable("networks='paper' moves both at once: leave out generator_updates and discriminator_lr")
        if c.networks == "paper":
            self.generator = mlp_generator(spec, c.latent_dim, (400,) * 4, norm=nn.BatchNorm1d)
            self.discriminator = MaxoutDiscriminator(packed.event_shape, (200,) * 3)
            for p in [*self.generator.parameters(), *self.discriminator.parameters()]:
                if p.ndim > 1:
                    nn.init.normal_(p, 0.0, 0.02)
        else:
            self.generator = make_generator(spec, c, generator_norm(spec, c))  # (B, Z) -> (B, *E)
            self.discriminator = make_discriminator(packed, c, coupled=True)  # (B / m, m E) -> (B / m,)

    def players(self) -> list[Player]:
        c = self.config
        if c.networks == "paper":
            adam = partial(torch.optim.Adam, lr=c.lr, betas=c.betas)
            return [Player("both", nn.ModuleList([self.discriminator, self.generator]), self.simultaneous_loss, adam)]
        discriminator, generator = super().players()
        adam = partial(torch.optim.Adam, lr=c.discriminator_lr or c.lr, betas=c.betas)
        return [replace(discriminator, optimizer=adam), replace(generator, updates=c.generator_updates)]

    def draw_latent(self, n: int, rng: torch.Generator) -> Tensor:
        """z ~ N(0, I), or U(-1, 1) as in VEEGAN's setting of stacked MNIST: -> (n, Z)."""
        if self.config.architecture == "stacked":
            return 2 * torch.rand(n, self.config.latent_dim, generator=rng, device=rng.device) - 1
        return super().draw_latent(n, rng)

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

    def simultaneous_loss(self, batch: Batch) -> Tensor:
        """A scalar whose gradient is each player's own: each takes what the other does as constant."""
        fake = self.generate(len(batch.x), batch.rng)
        real_logits, fake_logits = self.judge(torch.cat([batch.x, fake.detach()])).chunk(2)
        constants = {name: p.detach() for name, p in self.discriminator.named_parameters()}
        judged = functional_call(self.discriminator, constants, (pack(fake, self.config.pack),))
        return discriminator_bce(real_logits, fake_logits) + generator_non_saturating(judged)
