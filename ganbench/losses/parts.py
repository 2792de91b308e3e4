"""Penalties and stabilisers of a composed GAN, each an object: its range, what it changes, what it does not go with.

To add one, write its class here and list it below: parsing, checks and the game take it from there.

Source      Salimans et al. 2016, arXiv:1606.03498 (stabilisers); Gulrajani et al. 2017, arXiv:1704.00028, section 4 (a
            penalty per example needs a critic without batch norm); others name theirs where they are written.
Shapes      B batch of packs, *E event shape of a pack; every loss is a scalar ().
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ganbench.data import DataSpec
from ganbench.losses import penalties
from ganbench.losses.adversarial import discriminator_bce_smoothed, feature_matching
from ganbench.losses.game import Game, Loss, Part
from ganbench.losses.unroll import Parameters, unroll
from ganbench.nn.default import JudgeNorm, Sizes, batch_norm, make_discriminator, make_generator
from ganbench.nn.ema import EMA
from ganbench.nn.history import ParameterHistory
from ganbench.nn.judge import Judge
from ganbench.nn.minibatch import MinibatchDiscriminator
from ganbench.nn.moments import without_trace
from ganbench.nn.spectral import spectrally_normalised
from ganbench.nn.virtual_norm import VirtualBatchNorm, WithReference


class Clip(Part):
    """Weights of the critic stay in [-c, c]."""

    name, default, low, high = "clip", 0.01, 1e-6, 1e6
    bounds_slope, dense = True, False

    def conflicts(self, game: Game) -> Iterator[str]:
        if game.has(SpectralNorm):
            yield "clip and spectral_norm both bound the weights"

    def after_judge(self, gan: Any) -> None:
        penalties.clip_weights_(gan.discriminator, self.value)


class PerExample(Part):
    """A penalty on the gradient at each example, weighted by its value: examples of a batch must not interact."""

    default, low, high = 10.0, 0.0, 1e6
    judge_norm: ClassVar[JudgeNorm] = "example"

    def conflicts(self, game: Game) -> Iterator[str]:
        for part in game.parts:
            if part.instead:
                yield (
                    f"penalty {self.name} is on each example's own gradient, but {part.name} lets the examples of a "
                    f"batch interact in the discriminator; use {part.instead}"
                )

    def penalty(self, judge: Any, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
        """The penalty without its weight."""
        raise NotImplementedError

    def penalise(self, gan: Any, real: Tensor, fake: Tensor, rng: torch.Generator) -> Iterator[Tensor]:
        yield self.value * self.penalty(gan.discriminator, real, fake, rng)


class GradientPenalty(PerExample):
    name, bounds_slope = "gp", True

    def penalty(self, judge: Any, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
        return penalties.gradient_penalty(judge, real, fake, rng)


class OneSided(PerExample):
    name, bounds_slope = "one_sided", True

    def penalty(self, judge: Any, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
        return penalties.one_sided_penalty(judge, real, fake, rng)


class Dragan(PerExample):
    name = "dragan"

    def penalty(self, judge: Any, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
        return penalties.dragan_penalty(judge, real, rng)


class R1(PerExample):
    name = "r1"

    def penalty(self, judge: Any, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
        return penalties.r1_penalty(judge, real)


class Pack(Part):
    """The discriminator judges so many examples at once."""

    name, default, low, high, whole = "pack", 2, 1, 64, True

    @property
    def pack(self) -> int:
        return int(self.value)

    def conflicts(self, game: Game) -> Iterator[str]:
        if game.batch_size % game.pack:
            yield f"batch_size {game.batch_size} is not a multiple of the pack size {game.pack}"


class Smoothing(Part):
    default, low, high = 0.1, 0.0, 0.5

    def conflicts(self, game: Game) -> Iterator[str]:
        if not game.objective.cross_entropy:
            yield (
                f"label smoothing changes the labels of a cross-entropy, and objective {game.objective.name} has none; "
                "use minimax or non_saturating"
            )


class LabelSmoothing(Smoothing):
    """The target of real examples is 1 - value."""

    name = "label_smoothing"

    def judging(self, loss: Loss) -> Loss:
        return partial(discriminator_bce_smoothed, real_target=1 - self.value)


class TwoSidedLabelSmoothing(Smoothing):
    """Targets are 1 - value and value."""

    name = "two_sided_label_smoothing"

    def conflicts(self, game: Game) -> Iterator[str]:
        yield from super().conflicts(game)
        if game.has(LabelSmoothing):
            yield "label_smoothing and two_sided_label_smoothing are alternatives"

    def judging(self, loss: Loss) -> Loss:
        return partial(discriminator_bce_smoothed, real_target=1 - self.value, fake_target=self.value)


class MinibatchDisc(Part):
    """Minibatch discrimination with so many kernels."""

    name, default, low, high, whole = "minibatch_disc", 100, 1, 10_000, True
    dense, instead = False, "clip or spectral_norm"

    def conflicts(self, game: Game) -> Iterator[str]:
        if game.batch_size // game.pack < 2:
            yield "minibatch_disc needs at least two examples or packs in a batch; raise batch_size"

    def wrap(self, judge: Any) -> nn.Module:
        return MinibatchDiscriminator(judge, int(self.value))


class FeatureMatching(Part):
    """The generator matches mean features instead of fooling the discriminator; its value is the loss's weight."""

    name, low, high = "feature_matching", 1e-6, 1e6

    def fooling(self, gan: Any, real: Tensor, fake: Tensor) -> Tensor | None:
        judge: Judge = gan.discriminator
        return self.value * feature_matching(judge.features(real), judge.features(fake))


class HistoricalAveraging(Part):
    """Both players pay, with this weight, for moving away from their past weights."""

    name, default, low, high = "historical_avg", 1e-3, 0.0, 1e6

    def attach(self, gan: Any) -> None:
        gan.discriminator_history = ParameterHistory(gan.discriminator)
        gan.generator_history = ParameterHistory(gan.generator)

    def tie_judge(self, gan: Any, parameters: Iterable[Tensor] | None = None) -> Iterator[Tensor]:
        yield self.value * gan.discriminator_history.penalty(parameters)

    def tie_generator(self, gan: Any) -> Iterator[Tensor]:
        yield self.value * gan.generator_history.penalty()

    def after_judge(self, gan: Any) -> None:
        gan.discriminator_history.update()

    def after_generator(self, gan: Any) -> None:
        gan.generator_history.update()


class Unroll(Part):
    """The generator plays against the discriminator after so many more steps (Metz et al. 2017, arXiv:1611.02163)."""

    name, default, low, high, whole = "unroll", 5, 0, 100, True
    judge_norm: ClassVar[JudgeNorm] = "none"

    def conflicts(self, game: Game) -> Iterator[str]:
        if game.has(FeatureMatching):
            yield "feature_matching replaces the generator's loss at the unrolled discriminator"
        for part in game.parts:
            if isinstance(part, PerExample | Clip):
                yield (
                    f"unroll differentiates the discriminator's steps, and penalty {part.name} in them would need "
                    "third derivatives or the derivative of clipping"
                )
        if game.has(GradientClip):
            yield "unroll differentiates the discriminator's own steps, which gradient_clip would shorten unseen"
        if game.optimizer != "adam":
            yield f"unroll differentiates Adam's steps, not {game.optimizer}'s"

    def fooling(self, gan: Any, real: Tensor, fake: Tensor) -> Tensor | None:
        game: Game = gan.game

        def judged(parameters: Parameters, x: Tensor) -> Tensor:
            out: Tensor = torch.func.functional_call(gan.discriminator, parameters, (x,))
            return out

        def loss(parameters: Parameters) -> Tensor:
            value = game.judging(judged(parameters, real), judged(parameters, fake))
            return sum(game.ties(gan, parameters.values()), value)

        with without_trace(gan.discriminator):  # steps that are not taken leave no trace in running moments
            after = unroll(gan.discriminator, gan.judge_optimizer, loss, int(self.value))
            if game.objective.zero_sum:  # the real term depends on the generator too, through the steps
                return -game.judging(judged(after, real), judged(after, fake))
            return game.fool(partial(judged, after), real, fake)


class VirtualBN(Part):
    """Virtual batch norm in the generator, with so many reference examples."""

    name, default, low, high, whole = "virtual_bn", 64, 1, 10_000, True

    def conflicts(self, game: Game) -> Iterator[str]:
        if game.has(BatchNorm):
            yield "batch_norm and virtual_bn would both norm the generator"

    def make_generator(self, spec: DataSpec, config: Sizes, dense: bool) -> nn.Module | None:
        n = int(self.value)
        network = make_generator(spec, config, partial(VirtualBatchNorm, n_reference=n), dense=dense)
        return WithReference(network, torch.randn(n, config.latent_dim))


class BatchNorm(Part):
    """Batch norm in both players, on vectors too."""

    name = "batch_norm"
    instead = "virtual_bn, which norms the generator alone"

    def conflicts(self, game: Game) -> Iterator[str]:
        if game.batch_size // game.pack < 2:
            yield "batch_norm needs at least two examples or packs in a batch"

    def make_generator(self, spec: DataSpec, config: Sizes, dense: bool) -> nn.Module | None:
        return make_generator(spec, config, batch_norm(spec, config), dense=dense)

    def make_judge(self, spec: DataSpec, config: Sizes, dense: bool) -> nn.Module | None:
        return make_discriminator(spec, config, batch_norm(spec, config), dense=dense)


class SpectralNorm(Part):
    """Every layer of the discriminator has largest singular value 1."""

    name, bounds_slope = "spectral_norm", True
    judge_norm: ClassVar[JudgeNorm] = "example"

    def wrap(self, judge: Any) -> nn.Module:
        network: nn.Module = judge
        return spectrally_normalised(network)


class Averaging(Part):
    """Samples come from a moving average of the generator's weights with this decay."""

    name, default, low, high = "ema", 0.999, 0.0, 0.999999  # at 1 no weight would ever count

    def attach(self, gan: Any) -> None:
        gan.average = EMA(gan.generator, self.value)

    def after_generator(self, gan: Any) -> None:
        gan.average.update()

    def sampler(self, gan: Any, network: nn.Module) -> nn.Module:
        average: nn.Module = gan.average
        return average


class GradientClip(Part):
    """The largest norm of a player's gradient."""

    name, low, high = "gradient_clip", 1e-6, 1e6

    def optimizer(self, make: Callable[..., Any]) -> Callable[..., Any]:
        return penalties.gradient_clipped(make, self.value)


PENALTIES: dict[str, type[Part]] = {p.name: p for p in (Clip, GradientPenalty, OneSided, Dragan, R1)}
# In the order in which they are laid on a game, however a config lists them.
STABILISERS: dict[str, type[Part]] = {
    p.name: p
    for p in (
        Pack, LabelSmoothing, TwoSidedLabelSmoothing, MinibatchDisc, FeatureMatching, HistoricalAveraging, Unroll,
        VirtualBN, BatchNorm, SpectralNorm, Averaging, GradientClip,
    )
}  # fmt: skip
