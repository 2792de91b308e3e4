"""Which objective, penalty and stabilisers go together: "name:value" parsed; wrong combinations refused with a reason.

Source      Salimans et al. 2016, arXiv:1606.03498 (stabilisers); Gulrajani et al. 2017, arXiv:1704.00028, section 4 (a
            penalty per example needs a critic without batch norm).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ganbench.errors import BadConfig, UnknownName
from ganbench.losses.objectives import OBJECTIVES, Objective

# Each with its value where none is given, and the range the value must lie in.
PENALTIES: dict[str, tuple[float, float, float]] = {
    "none": (0.0, 0.0, 0.0),
    "clip": (0.01, 1e-6, 1e6),  # c: weights stay in [-c, c]
    "gp": (10.0, 0.0, 1e6),  # weights of the penalties of ganbench.losses.penalties
    "one_sided": (10.0, 0.0, 1e6),
    "dragan": (10.0, 0.0, 1e6),
    "r1": (10.0, 0.0, 1e6),
}
STABILISERS: dict[str, tuple[float, float, float]] = {
    "pack": (2, 1, 64),  # examples the discriminator judges at once
    "label_smoothing": (0.1, 0.0, 0.5),  # real target 1 - value
    "two_sided_label_smoothing": (0.1, 0.0, 0.5),  # targets 1 - value and value
    "minibatch_disc": (100, 1, 10_000),  # kernels
    "feature_matching": (1.0, 1e-6, 1e6),  # weight of the loss that replaces the generator's
    "historical_avg": (1e-3, 0.0, 1e6),  # weight
    "unroll": (5, 0, 100),  # steps
    "virtual_bn": (64, 1, 10_000),  # reference examples
    "batch_norm": (1, 1, 1),
    "spectral_norm": (1, 1, 1),
    "ema": (0.999, 0.0, 1.0),  # decay
    "gradient_clip": (1.0, 1e-6, 1e6),  # largest norm of a player's gradient
}
WHOLE = {"pack", "minibatch_disc", "unroll", "virtual_bn"}
PER_EXAMPLE = {"gp", "one_sided", "dragan", "r1"}
SMOOTHING = {"label_smoothing", "two_sided_label_smoothing"}


def parse(kind: str, text: str, known: Mapping[str, tuple[float, float, float]]) -> tuple[str, float]:
    """("pack", 2.0) from "pack:2", or with the default from "pack". Raises `UnknownName` or `BadConfig`."""
    name, colon, value = text.strip().partition(":")
    if name not in known:
        raise UnknownName(kind, name, known)
    default, low, high = known[name]
    try:
        number = float(value) if colon else default
    except ValueError:
        raise BadConfig(f"{kind} {name}: the value must be a number; got {value!r}") from None
    if not low <= number <= high or (name in WHOLE and number != int(number)):
        whole = "a whole number" if name in WHOLE else "a number"
        raise BadConfig(f"{kind} {name}: the value must be {whole} from {low:g} to {high:g}; got {value or number}")
    return name, number


def compose(
    objective: str, penalty: str, stabilisers: Sequence[str], batch_size: int, optimizer: str = "adam"
) -> tuple[Objective, tuple[str, float], dict[str, float]]:
    """The objective, the penalty and the stabilisers by name; raises `UnknownName`, or `BadConfig` with the reason."""
    if objective not in OBJECTIVES:
        raise UnknownName("objective", objective, OBJECTIVES)
    goal, kind = OBJECTIVES[objective], parse("penalty", penalty, PENALTIES)
    on: dict[str, float] = {}
    for text in stabilisers:
        name, value = parse("stabiliser", text, STABILISERS)
        if name in on:
            raise BadConfig(f"stabiliser {name} is listed twice; list it once")
        on[name] = value
    for reason in _conflicts(goal, kind[0], on, batch_size, optimizer):
        raise BadConfig(f"these do not go together: {reason}")
    return goal, kind, on


def _conflicts(goal: Objective, penalty: str, on: Mapping[str, float], batch_size: int, optimizer: str) -> list[str]:
    has = set(on)
    pack = int(on.get("pack", 1))
    rules = [
        (
            goal.needs_lipschitz and penalty not in {"clip", "gp", "one_sided"} and "spectral_norm" not in has,
            f"objective {goal.name} is unbounded unless the critic is held Lipschitz; add penalty gp, one_sided or "
            "clip, or stabiliser spectral_norm",
        ),
        (
            penalty in PER_EXAMPLE and "minibatch_disc" in has,
            f"penalty {penalty} is on each example's own gradient, but minibatch_disc lets the examples of a batch "
            "interact; use clip or spectral_norm",
        ),
        (
            penalty in PER_EXAMPLE and "batch_norm" in has,
            f"penalty {penalty} is on each example's own gradient, but batch_norm in the discriminator lets the "
            "examples of a batch interact; use virtual_bn, which norms the generator alone",
        ),
        (
            bool(has & SMOOTHING) and not goal.cross_entropy,
            f"label smoothing changes the labels of a cross-entropy, and objective {goal.name} has none; "
            "use minimax or non_saturating",
        ),
        (has >= SMOOTHING, "label_smoothing and two_sided_label_smoothing are alternatives"),
        (batch_size % pack != 0, f"batch_size {batch_size} is not a multiple of the pack size {pack}"),
        (
            "minibatch_disc" in has and batch_size // pack < 2,
            "minibatch_disc needs at least two examples or packs in a batch; raise batch_size",
        ),
        ("batch_norm" in has and batch_size // pack < 2, "batch_norm needs at least two examples or packs in a batch"),
        (has >= {"batch_norm", "virtual_bn"}, "batch_norm and virtual_bn would both norm the generator"),
        (penalty == "clip" and "spectral_norm" in has, "clip and spectral_norm both bound the weights"),
        (
            "unroll" in has and "batch_norm" in has,
            "unroll repeats the discriminator's steps without taking them, but batch_norm's running moments would move",
        ),
        (
            "unroll" in has and "feature_matching" in has,
            "feature_matching replaces the generator's loss at the unrolled discriminator",
        ),
        (
            "unroll" in has and penalty != "none",
            f"unroll differentiates the discriminator's steps, and penalty {penalty} in them would need third "
            "derivatives or the derivative of clipping",
        ),
        (
            "unroll" in has and "gradient_clip" in has,
            "unroll differentiates the discriminator's own steps, which gradient_clip would shorten unseen",
        ),
        ("unroll" in has and optimizer != "adam", f"unroll differentiates Adam's steps, not {optimizer}'s"),
    ]
    return [reason for wrong, reason in rules if wrong]
