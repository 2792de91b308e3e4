"""A game made of an objective, a penalty and stabilisers: parsed from "name:value", refused where they do not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ganbench.errors import BadConfig, UnknownName
from ganbench.losses.game import Game, Part
from ganbench.losses.objectives import OBJECTIVES
from ganbench.losses.parts import PENALTIES, STABILISERS


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
