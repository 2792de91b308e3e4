"""PacGAN: the discriminator judges several samples at once, so that a generator with too few modes gives itself away.

Source      Lin et al. 2018, "PacGAN: The power of two samples in generative adversarial networks", section 2 and 4.1.
Departures  1. The shared small networks; `networks="paper"` are section 4's for mixtures, the architectures `stacked`,
               `stacked_half` and `stacked_quarter` those of its stacked MNIST.
            2. Players take turns, except under `networks="paper"`, where both move from the same point as in the
               authors' code. That norms the first members of all packs together, then the second; here all at once.
Shapes      B batch, m pack, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import GAN, Batch, Count, DataSpec, NotApplicable, Player, Positive, register
from ganbench.nn import check_pack, make_pair, pack, packed_spec
from ganbench.nn.papers import pacgan_mixtures


@register("pacgan", family="adversarial", paper="arXiv:1712.04086", version=4)
class PacGAN(GAN):
    class Config(GAN.Config):
        pack: Count = 2  # m; 1 is the plain GAN that the paper compares with
        generator_updates: Count = 1
        discriminator_lr: Positive | None = None  # None: as the generator's
        networks: Literal["shared", "paper"] = "shared"

        def __post_init__(self) -> None:
            super().__post_init__()
            check_pack(self.batch_size, self.pack)

    config: Config

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.prior = "uniform" if c.architecture == "stacked" else "normal"  # VEEGAN's setting of stacked MNIST
        if c.networks == "paper":
            if c.generator_updates > 1 or c.discriminator_lr:
                raise NotApplicable(
                    "networks='paper' moves both at once: leave out generator_updates and discriminator_lr"
                )
            self.generator, self.discriminator = pacgan_mixtures(spec, c.latent_dim, c.pack)
        else:  # (B, Z) -> (B, *E), (B / m, m E) -> (B / m,)
            self.generator, self.discriminator = make_pair(spec, c, seen=packed_spec(spec, c.pack))

    def players(self) -> list[Player]:
        c = self.config
        if c.networks == "paper":
            both = nn.ModuleList([self.discriminator, self.generator])
            return [Player("both", both, self.simultaneous_loss, self.adam)]
        discriminator, generator = super().players()
        adam = partial(torch.optim.Adam, lr=c.discriminator_lr or c.lr, betas=c.betas)
        return [replace(discriminator, optimizer=adam), replace(generator, updates=c.generator_updates)]

    def features(self, x: Tensor) -> Tensor:
        raise NotApplicable("pacgan has no features of one example: its discriminator sees packs")

    def judge(self, x: Tensor) -> Tensor:  # (B, *E) -> (B / m,)
        return self.discriminator(pack(x, self.config.pack))

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
