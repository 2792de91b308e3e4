"""A game and what it is made of: an objective, and parts, each of which changes what it must and leaves the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ganbench.data import DataSpec
from ganbench.losses.objectives import Objective
from ganbench.nn.default import JudgeNorm, Sizes, adversarial_generator, make_judge

Loss = Callable[[Tensor, Tensor], Tensor]


class Part:
    """A penalty or a stabiliser with its value. What a part does not change it leaves to the methods here.

    `gan` is the composed GAN: `generator`, `discriminator`, `game`, and what parts attach to it.
    """

    name: ClassVar[str]
    default: ClassVar[float] = 1.0
    low: ClassVar[float] = 1.0
    high: ClassVar[float] = 1.0
    whole: ClassVar[bool] = False  # takes whole numbers only
    bounds_slope: ClassVar[bool] = False  # holds the critic Lipschitz
    instead: ClassVar[str] = ""  # of a part that lets the examples of a batch interact: what goes with their gradients
    judge_norm: ClassVar[JudgeNorm] = "batch"  # what the part allows in the judge's convolutions
    dense: ClassVar[bool] = True  # whether 28x28 images keep DCGAN's dense layers, with which some games collapse

    def __init__(self, value: float) -> None:
        self.value = value

    @property
    def pack(self) -> int:
        """Examples that the discriminator judges at once."""
        return 1

    def conflicts(self, game: Game) -> Iterator[str]:
        """Reasons why it does not go with the rest of the game."""
        yield from ()

    def make_generator(self, spec: DataSpec, config: Sizes, dense: bool) -> nn.Module | None:
        """A generator (B, Z) -> (B, *E) in place of the default one."""
        return None

    def make_judge(self, spec: DataSpec, config: Sizes, dense: bool) -> nn.Module | None:
        """A discriminator (B, *E) -> (B,) in place of the default one."""
        return None

    def wrap(self, judge: Any) -> nn.Module:
        """The discriminator with the part on it."""
        out: nn.Module = judge
        return out

    def attach(self, gan: Any) -> None:
        """Keep what the part remembers in the GAN, once its networks are made."""

    def optimizer(self, make: Callable[..., Any]) -> Callable[..., Any]:
        """The maker of both players' optimizers."""
        return make

    def judging(self, loss: Loss) -> Loss:
        """The discriminator's loss of real and fake logits."""
        return loss

    def fooling(self, gan: Any, real: Tensor, fake: Tensor) -> Tensor | None:
        """A generator's loss of packs (B, *E) in place of the objective's."""
        return None

    def penalise(self, gan: Any, real: Tensor, fake: Tensor, rng: torch.Generator) -> Iterator[Tensor]:
        """Terms of the discriminator's loss at packs (B, *E)."""
        yield from ()

    def tie_judge(self, gan: Any, parameters: Iterable[Tensor] | None = None) -> Iterator[Tensor]:
        """Terms of the discriminator's loss that look at its weights alone, or at the given ones."""
        yield from ()

    def tie_generator(self, gan: Any) -> Iterator[Tensor]:
        """Terms of the generator's loss that look at its weights alone."""
        yield from ()

    def after_judge(self, gan: Any) -> None:
        """What follows each turn of the discriminator."""

    def after_generator(self, gan: Any) -> None:
        """What follows each turn of the generator."""

    def sampler(self, gan: Any, network: nn.Module) -> nn.Module:
        """The network that samples come from."""
        return network


@dataclass(frozen=True)
class Game:
    """What a composed GAN plays: each step is that of the objective with what the parts make of it."""

    objective: Objective
    parts: tuple[Part, ...]
    batch_size: int
    optimizer: str

    def has(self, kind: type[Part]) -> bool:
        """Whether a part of this kind is in it."""
        return any(isinstance(p, kind) for p in self.parts)

    @property
    def pack(self) -> int:
        """Examples that the discriminator judges at once."""
        return max((p.pack for p in self.parts), default=1)

    def make_pair(self, spec: DataSpec, packed: DataSpec, config: Sizes) -> tuple[nn.Module, nn.Module]:
        """Discriminator (B / m, m E) -> (B / m,) and generator (B, Z) -> (B, *E), normed and wrapped as parts ask."""
        norms = {p.judge_norm for p in self.parts}
        judge: JudgeNorm = "example" if "example" in norms else "none" if "none" in norms else "batch"
        dense = judge == "batch" and all(p.dense for p in self.parts)
        own = [made for p in self.parts if (made := p.make_judge(packed, config, dense)) is not None]
        discriminator = own[0] if own else make_judge(packed, config, judge, dense=dense)
        for part in self.parts:
            discriminator = part.wrap(discriminator)
        own = [made for p in self.parts if (made := p.make_generator(spec, config, dense)) is not None]
        return discriminator, own[0] if own else adversarial_generator(spec, config, dense=dense)

    def judging(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss of logits, with labels as parts have them: (B,), (B,) -> ()."""
        loss = self.objective.discriminator
        for part in self.parts:
            loss = part.judging(loss)
        return loss(real, fake)

    def ties(self, gan: Any, parameters: Iterable[Tensor] | None = None) -> Iterator[Tensor]:
        """Terms of the discriminator's loss that look at its weights, or at the given ones."""
        for part in self.parts:
            yield from part.tie_judge(gan, parameters)

    def fool(self, judge: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
        """The generator's loss against a judge: packs (B, *E), (B, *E) -> ()."""
        return self.objective.generator(judge(real) if self.objective.relative else real, judge(fake))
