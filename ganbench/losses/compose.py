"""A game made of an objective, a penalty and stabilisers: parsed from "name:value", refused where they do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ganbench.data import DataSpec
from ganbench.errors import BadConfig, UnknownName
from ganbench.losses.objectives import OBJECTIVES, Objective
from ganbench.losses.parts import PENALTIES, STABILISERS, Pack, Part
from ganbench.nn.default import JudgeNorm, Sizes, adversarial_generator, make_judge


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
        return next((int(p.value) for p in self.parts if isinstance(p, Pack)), 1)

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


def parse(kind: str, text: str, known: Mapping[str, type[Part]]) -> Part:
    """`Pack(2)` from "pack:2", or with the default from "pack". Raises `UnknownName` or `BadConfig`."""
    name, colon, value = text.strip().partition(":")
    if name not in known:
        raise UnknownName(kind, name, [*known, "none"] if kind == "penalty" else known)
    part = known[name]
    try:
        number = float(value) if colon else part.default
    except ValueError:
        raise BadConfig(f"{kind} {name}: the value must be a number; got {value!r}") from None
    if not part.low <= number <= part.high or (part.whole and number != int(number)):
        whole = "a whole number" if part.whole else "a number"
        raise BadConfig(
            f"{kind} {name}: the value must be {whole} from {part.low:g} to {part.high:g}; got {value or number}"
        )
    return part(number)


def compose(objective: str, penalty: str, stabilisers: Sequence[str], batch_size: int, optimizer: str = "adam") -> Game:
    """The game of these parts by name; raises `UnknownName`, or `BadConfig` with the reason."""
    if objective not in OBJECTIVES:
        raise UnknownName("objective", objective, OBJECTIVES)
    goal = OBJECTIVES[objective]
    on: dict[str, Part] = {}
    for text in stabilisers:
        part = parse("stabiliser", text, STABILISERS)
        if part.name in on:
            raise BadConfig(f"stabiliser {part.name} is listed twice; list it once")
        on[part.name] = part
    held = [] if penalty.strip() == "none" else [parse("penalty", penalty, PENALTIES)]
    game = Game(goal, (*held, *(on[name] for name in STABILISERS if name in on)), batch_size, optimizer)
    reasons = [reason for part in game.parts for reason in part.conflicts(game)]
    if goal.needs_lipschitz and not any(p.bounds_slope for p in game.parts):
        reasons.insert(
            0,
            f"objective {goal.name} is unbounded unless the critic is held Lipschitz; add penalty gp, one_sided or "
            "clip, or stabiliser spectral_norm",
        )
    for reason in reasons:
        raise BadConfig(f"these do not go together: {reason}")
    return game
