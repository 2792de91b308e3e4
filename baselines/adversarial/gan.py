"""Any GAN from its parts: an objective, a penalty and a list of stabilisers, combined in a config.

Source      Goodfellow et al. 2014, "Generative Adversarial Nets", Algorithm 1; the parts name their own papers where
            they are written: ganbench.losses.objectives, ganbench.losses.parts, ganbench.nn.
Departures  1. Shared networks and settings for every combination, so that a difference is that of its parts.
            2. Combinations that are wrong are refused before training: ganbench.losses.compose.
Shapes      B batch, m pack (1 without packing), Z latent_dim, *E event shape.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from ganbench.losses.compose import compose
from ganbench.model import GAN, Batch, Count, DataSpec, NotApplicable, Player, register
from ganbench.nn import pack, packed_spec


@register("gan", family="adversarial", paper="arXiv:1406.2661", gives=("sample", "features"), version=6)
class ComposedGAN(GAN):
    class Config(GAN.Config):
        objective: str = "non_saturating"
        penalty: str = "none"  # clip:0.01, gp:10, one_sided:10, dragan:10, r1:10
        stabilisers: tuple[str, ...] = ()  # such as ("pack:2", "label_smoothing:0.1", "minibatch_disc")
        n_critic: Count = 1  # discriminator updates per generator update
        optimizer: Literal["adam", "rmsprop"] = "adam"

        def __post_init__(self) -> None:
            super().__post_init__()
            compose(self.objective, self.penalty, self.stabilisers, self.batch_size, self.optimizer)

    config: Config
    judge_optimizer: Any = None  # the discriminator's, whose steps unrolling differentiates

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.game = compose(c.objective, c.penalty, c.stabilisers, c.batch_size, c.optimizer)
        # (B / m, m E) -> (B / m,) and (B, Z) -> (B, *E)
        self.discriminator, self.generator = self.game.make_pair(spec, packed_spec(spec, self.game.pack), c)
        for part in self.game.parts:
            part.attach(self)

    def players(self) -> list[Player]:
        c = self.config

        def optimizer(parameters: Any, **fast: Any) -> Optimizer:
            if c.optimizer == "rmsprop":
                return torch.optim.RMSprop(parameters, lr=c.lr, **fast)
            return torch.optim.Adam(parameters, lr=c.lr, betas=c.betas, **fast)

        make: Any = optimizer
        for part in self.game.parts:
            make = part.optimizer(make)

        def remembered(parameters: Any, **fast: Any) -> Optimizer:
            self.judge_optimizer = make(parameters, **fast)
            return self.judge_optimizer

        judge, maker = self.discriminator, self.generator
        return [
            Player("discriminator", judge, self.discriminator_loss, remembered, c.n_critic, self.after_discriminator),
            Player("generator", maker, self.generator_loss, make, after=self.after_generator),
        ]

    def packed(self, x: Tensor) -> Tensor:  # (B, *E) -> (B / m, m E)
        return pack(x, self.game.pack)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.packed(self.generate(len(batch.x), batch.rng))
        real = self.packed(batch.x)
        loss = self.game.judging(self.discriminator(real), self.discriminator(fake))
        for part in self.game.parts:
            loss = sum(part.penalise(self, real, fake, batch.rng), loss)
        return sum(self.game.ties(self), loss)

    def after_discriminator(self) -> None:
        for part in self.game.parts:
            part.after_judge(self)

    def generator_loss(self, batch: Batch) -> Tensor:
        real, fake = self.packed(batch.x), self.packed(self.generate(len(batch.x), batch.rng))
        others = (part.fooling(self, real, fake) for part in self.game.parts)
        loss = next((other for other in others if other is not None), None)
        if loss is None:
            loss = self.game.fool(self.discriminator, real, fake)
        for part in self.game.parts:
            loss = sum(part.tie_generator(self), loss)
        return loss

    def after_generator(self) -> None:
        for part in self.game.parts:
            part.after_generator(self)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        network = self.generator
        for part in self.game.parts:
            network = part.sampler(self, network)
        return network(self.draw_latent(n, rng))

    def features(self, x: Tensor) -> Tensor:
        if self.game.pack > 1:
            raise NotApplicable("a packed discriminator has no features of one example; leave out pack")
        return super().features(x)
