"""Any GAN from its parts: an objective, a penalty and a list of stabilisers, combined in a config.

Source      Goodfellow et al. 2014, "Generative Adversarial Nets", Algorithm 1; the parts name their own papers where
            they are written: ganbench.losses.objectives, ganbench.losses.penalties, ganbench.nn.
Departures  1. Shared networks and settings for every combination, so that a difference is that of its parts.
            2. Combinations that are wrong are refused before training: ganbench.losses.compose.
Shapes      B batch, m pack (1 without packing), Z latent_dim, *E event shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import functional_call
from torch.optim import Optimizer

from ganbench.losses import penalties
from ganbench.losses.adversarial import discriminator_bce_smoothed, feature_matching
from ganbench.losses.compose import PER_EXAMPLE, compose
from ganbench.losses.unroll import unroll
from ganbench.model import GAN, Batch, Count, DataSpec, NotApplicable, Player, register
from ganbench.nn import (
    EMA,
    NAMED,
    MinibatchDiscriminator,
    ParameterHistory,
    VirtualBatchNorm,
    WithReference,
    batch_norm,
    generator_norm,
    make_discriminator,
    make_generator,
    pack,
    packed_spec,
    spectrally_normalised,
)


@register("gan", family="adversarial", paper="arXiv:1406.2661", gives=("sample", "features"), version=6)
class ComposedGAN(GAN):
    @dataclass(frozen=True)
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
    judge_optimizer: Any = None  # the discriminator's, whose steps `unroll` differentiates

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.objective, self.penalty, self.on = compose(
            c.objective, c.penalty, c.stabilisers, c.batch_size, c.optimizer
        )
        self.pack = int(self.on.get("pack", 1))
        norm: Any = batch_norm(spec, c) if "batch_norm" in self.on else None
        coupled = self.penalty[0] not in PER_EXAMPLE and "spectral_norm" not in self.on
        coupled &= "unroll" not in self.on or c.architecture in NAMED
        # With dense hidden layers these games collapse on 28x28 pixels.
        dense = coupled and self.penalty[0] != "clip" and "minibatch_disc" not in self.on
        packed = packed_spec(spec, self.pack)
        # (B / m, m E) -> (B / m,)
        self.discriminator = make_discriminator(packed, c, norm, coupled=coupled, dense=dense)
        if "minibatch_disc" in self.on:
            self.discriminator = MinibatchDiscriminator(self.discriminator, int(self.on["minibatch_disc"]))
        if "spectral_norm" in self.on:
            spectrally_normalised(self.discriminator)
        if "virtual_bn" in self.on:
            n = int(self.on["virtual_bn"])
            network = make_generator(spec, c, partial(VirtualBatchNorm, n_reference=n), dense=dense)
            self.generator = WithReference(network, torch.randn(n, c.latent_dim))  # (B, Z) -> (B, *E)
        else:
            self.generator = make_generator(spec, c, norm or generator_norm(spec, c), dense=dense)
        if "historical_avg" in self.on:
            self.discriminator_history = ParameterHistory(self.discriminator)
            self.generator_history = ParameterHistory(self.generator)
        if "ema" in self.on:
            self.average = EMA(self.generator, self.on["ema"])

    def players(self) -> list[Player]:
        c = self.config

        def plain(parameters: Any, **fast: Any) -> Optimizer:
            if c.optimizer == "rmsprop":
                return torch.optim.RMSprop(parameters, lr=c.lr, **fast)
            return torch.optim.Adam(parameters, lr=c.lr, betas=c.betas, **fast)

        clip = self.on.get("gradient_clip")
        optimizer = plain if clip is None else penalties.gradient_clipped(plain, clip)

        def remembered(parameters: Any, **fast: Any) -> Optimizer:
            self.judge_optimizer = optimizer(parameters, **fast)
            return self.judge_optimizer

        loss_d, loss_g = self.discriminator_loss, self.generator_loss
        after_d, after_g = self.after_discriminator, self.after_generator
        return [
            Player("discriminator", self.discriminator, loss_d, remembered, c.n_critic, after_d),
            Player("generator", self.generator, loss_g, optimizer, after=after_g),
        ]

    def judge_loss(self, judge: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:  # packs -> ()
        real, fake = judge(real), judge(fake)
        if "label_smoothing" in self.on:
            return discriminator_bce_smoothed(real, fake, 1 - self.on["label_smoothing"])
        if "two_sided_label_smoothing" in self.on:
            s = self.on["two_sided_label_smoothing"]
            return discriminator_bce_smoothed(real, fake, 1 - s, s)
        return self.objective.discriminator(real, fake)

    def penalty_term(self, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
        kind, weight = self.penalty
        if kind == "r1":
            return weight * penalties.r1_penalty(self.discriminator, real)
        if kind == "dragan":
            return weight * penalties.dragan_penalty(self.discriminator, real, rng)
        of_segments = penalties.gradient_penalty if kind == "gp" else penalties.one_sided_penalty
        return weight * of_segments(self.discriminator, real, fake, rng)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = pack(self.generate(len(batch.x), batch.rng), self.pack)
        real = pack(batch.x, self.pack)
        loss = self.judge_loss(self.discriminator, real, fake)
        if self.penalty[0] not in {"none", "clip"}:
            loss = loss + self.penalty_term(real, fake, batch.rng)
        if "historical_avg" in self.on:
            loss = loss + self.on["historical_avg"] * self.discriminator_history.penalty()
        return loss

    def after_discriminator(self) -> None:
        if self.penalty[0] == "clip":
            penalties.clip_weights_(self.discriminator, self.penalty[1])
        if "historical_avg" in self.on:
            self.discriminator_history.update()

    def generator_loss(self, batch: Batch) -> Tensor:
        real, fake = pack(batch.x, self.pack), pack(self.generate(len(batch.x), batch.rng), self.pack)
        loss = self.fooling_loss(real, fake)
        if "historical_avg" in self.on:
            loss = loss + self.on["historical_avg"] * self.generator_history.penalty()
        return loss

    def fooling_loss(self, real: Tensor, fake: Tensor) -> Tensor:  # packs -> ()
        judge: Any = self.discriminator
        if "feature_matching" in self.on:
            return self.on["feature_matching"] * feature_matching(judge.features(real), judge.features(fake))
        if "unroll" in self.on:
            after = unroll(judge, self.judge_optimizer, partial(self.unrolled_loss, real, fake), int(self.on["unroll"]))
            if self.objective.zero_sum:  # the real term depends on the generator too, through the steps
                return -self.judge_loss(self.with_parameters(after), real, fake)
            judge = self.with_parameters(after)
        return self.objective.generator(judge(real) if self.objective.relative else real, judge(fake))

    def unrolled_loss(self, real: Tensor, fake: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        loss = self.judge_loss(self.with_parameters(parameters), real, fake)
        if "historical_avg" in self.on:
            loss = loss + self.on["historical_avg"] * self.discriminator_history.penalty(parameters.values())
        return loss

    def with_parameters(self, parameters: dict[str, Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda x: functional_call(self.discriminator, parameters, (x,))

    def after_generator(self) -> None:
        if "historical_avg" in self.on:
            self.generator_history.update()
        if "ema" in self.on:
            self.average.update()

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        if "ema" not in self.on:
            return self.generate(n, rng)
        out: Tensor = self.average(self.draw_latent(n, rng))
        return out

    def features(self, x: Tensor) -> Tensor:
        if self.pack > 1:
            raise NotApplicable("a packed discriminator has no features of one example; leave out pack")
        return super().features(x)
