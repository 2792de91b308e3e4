"""The door of every metric: torch as a fresh process has it, options of the right type, numbers within range.

`@metric` wraps each function in `Door`, so that a direct call, `evaluate`, a job and a submission pass the same checks.

Range. Metrics square distances and take higher powers. Where that leaves the range of the input's type, float32 and
half are lifted to float64, and all sets are divided by one power of two, which is exact: the score is multiplied back
by the metric's declared degree. A metric with units of its own refuses sets whose powers leave float64.
"""

from __future__ import annotations

import inspect
import math
import numbers
import random
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ganbench.errors import BadConfig, BadInput
from ganbench.metrics.score import Score

SETS = (
    "samples", "reference", "holdout", "train", "features", "reference_features", "train_features",
    "translated", "cond", "cycled", "edited", "edit_truth", "inpainted", "projected", "word_vectors",
    "document_vectors",
)  # fmt: skip
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
BITS = (-60, 100)  # of float32's exponent that powers of a set may take: differences and sums need the others
BITS_UNIT = (-100, 100)  # of float64's, beyond which sets are brought to unit size
BITS_DOUBLE = (-400, 400)  # of float64's, beyond which sets that cannot be are refused
TINY = 2.0**-1022  # the smallest float64 with all its digits


@contextmanager
def fresh_torch() -> Iterator[None]:
    """Torch and numpy as a fresh process has them, whatever the caller set; the caller's state is back afterwards.

    Grad and inference mode, autocast, default dtype and device, deterministic algorithms, float32 matmul precision,
    numpy's error state, and the global generators of torch, numpy and random, which are seeded and put back.
    """
    dtype, precision = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002 - what libraries draw from
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(np.errstate(all="ignore"))
        try:
            torch.set_default_dtype(torch.float32)
            if precision != "highest":
                torch.set_float32_matmul_precision("highest")
            if deterministic[0]:
                torch.use_deterministic_algorithms(False)
            torch.default_generator.manual_seed(0)
            np.random.seed(0)  # noqa: NPY002
            random.seed(0)
            yield
        finally:
            torch.set_default_dtype(dtype)
            if precision != "highest":
                torch.set_float32_matmul_precision(precision)
            if deterministic[0]:
                torch.use_deterministic_algorithms(True, warn_only=deterministic[1])
            torch.set_rng_state(states[0])
            np.random.set_state(states[1])  # noqa: NPY002
            random.setstate(states[2])


def plain(x: Any) -> Any:
    """A tensor without its history: no gradient, no inference mode; anything else as it is."""
    if not isinstance(x, Tensor):
        return x
    return x.clone() if x.is_inference() else x.detach()


class Door:
    """What stands before one metric; see the module's docstring."""

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        degree: int | None,
        power: int | None,
        holds_for: Mapping[str, tuple[Any, ...]],
        smallest: float,
    ) -> None:
        self.name, self.function = name, function
        self.degree, self.power, self.holds_for, self.smallest = degree, power, holds_for, smallest
        self.signature = inspect.signature(function)
        self.needs = {k for k, p in self.signature.parameters.items() if p.default is p.empty or k == "space"}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The metric on these arguments. Raises what it raises, `BadInput` and `BadConfig`."""
        bound = self.signature.bind(*args, **kwargs)
        with fresh_torch():
            given = {
                k: plain(v) if k in self.needs else check_option(k, plain(v), self._hints.get(k, Any))
                for k, v in bound.arguments.items()
            }
            given, exponent = self._within_range(given)
            bound.arguments.update(given)
            try:
                result = self.function(*bound.args, **bound.kwargs)
            except (ArithmeticError, torch.linalg.LinAlgError) as error:  # type: ignore[attr-defined]
                raise BadInput(
                    f"{self.name} cannot be computed of these sets: {error}; look for rows that repeat"
                ) from None
        if isinstance(result, list | tuple):
            return [self._score(score, exponent) for score in result]
        return self._score(result, exponent)

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return typing.get_type_hints(self.function)

    def _within_range(self, given: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """The arguments with all sets in a range that the metric's powers fit in, now in units of 2 to which power."""
        if "model" in self.needs or self.power is None:  # the units are the model's, or the metric chooses its own
            return given, 0
        sets = {k: x for k, x in given.items() if k in SETS and isinstance(x, Tensor) and is_events(x)}
        largest = {k: max(map(abs, map(float, torch.aminmax(x)))) for k, x in sets.items()}
        if not all(map(math.isfinite, largest.values())) or not any(largest.values()):
            return given, 0  # of what is not finite the metric names the row
        widest = max(largest, key=largest.__getitem__)
        top, values = largest[widest], self._values(given)
        p = values.get("p", 1)
        power = max(self.power, p) if isinstance(p, float) and math.isfinite(p) else self.power
        double = all(x.dtype == torch.float64 for x in sets.values())
        if not double and not _fits(top, power, BITS):
            given = given | {k: x.double() for k, x in sets.items()}
        if top < self.smallest:
            raise BadInput(
                f"{widest} must reach {self.smallest:g} in size: in the units of {self.name} its {top:.1e} cannot be "
                "told from 0; rescale the sets, all by one factor"
            )
        scales = self.degree is not None and all(values[k] in allowed for k, allowed in self.holds_for.items())
        if _fits(top, power, BITS_UNIT if scales else BITS_DOUBLE):
            return given, 0
        if not scales:
            low, high = (2.0 ** (bits / power) for bits in BITS_DOUBLE)
            raise BadInput(
                f"{widest} must be from {low:.0e} to {high:.0e} in size, for powers of it to be float64 numbers; its "
                f"largest is {top:.3g}; rescale the sets, all by one factor"
            )
        exponent = math.frexp(top)[1] - 1
        return given | {k: _times(x.double(), -exponent) for k, x in sets.items()}, exponent

    def _values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All arguments, defaults included."""
        return {k: given.get(k, p.default) for k, p in self.signature.parameters.items()}

    def _score(self, score: Any, exponent: int) -> Any:
        """The score in the units of the sets that were given. Raises `BadInput` where it is no float64 number."""
        if not isinstance(score, Score):
            return score
        if not math.isfinite(score.value):
            raise BadInput(f"{score.name} is {score.value} for these sets; rescale them, or look for extreme rows")
        se = score.se if score.se is not None and math.isfinite(score.se) else None
        interval = score.interval if score.interval is not None and all(map(math.isfinite, score.interval)) else None
        if (se, interval) != (score.se, score.interval):
            score = replace(score, se=se, interval=interval)
        if not exponent:
            return score
        shift = exponent * (self.degree or 0)
        value = _ldexp(score.value, shift)
        if math.isinf(value) or (abs(value) < TINY and score.value != 0):
            raise BadInput(
                f"{score.name} must be a float64 number; of these sets it is about 2^{shift}; rescale them, all by one "
                "factor"
            )
        return replace(
            score,
            value=value,
            se=None if se is None else _ldexp(se, shift),
            interval=None if interval is None else (_ldexp(interval[0], shift), _ldexp(interval[1], shift)),
            extra=score.extra | {"unit": 2.0**exponent},  # of every length in extra
        )


def is_events(x: Any) -> bool:
    """Whether this is a tensor of numbers that metrics can take; `check_events` says what is wrong with others."""
    return isinstance(x, Tensor) and x.dtype in FLOATS and x.layout == torch.strided and not x.is_meta and x.numel() > 0


def _fits(top: float, power: float, bits: tuple[int, int]) -> bool:
    """Whether powers of numbers up to `top` stay within these bits."""
    return bits[0] <= power * math.log2(top) <= bits[1]


def _times(x: Tensor, exponent: int) -> Tensor:
    """x 2^exponent, exactly unless it underflows; in two steps, for 2^exponent may be no number."""
    half = exponent // 2
    return (x * 2.0**half).mul_(2.0 ** (exponent - half))


def _ldexp(value: float, exponent: int) -> float:
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.inf


def check_option(name: str, value: Any, hint: Any) -> Any:
    """An option that its annotation allows, numpy numbers as Python's. Raises `BadInput` for another type.

    A whole number serves as a float; a float never as a count, nor a truth value as a number. Raises `BadConfig` for a
    word that is none of those the annotation lists.
    """
    choices = list(_choices(hint))
    for choice in choices:
        fits, converted = _converted(value, choice)
        if fits:
            if isinstance(converted, float) and math.isnan(converted):
                raise BadInput(f"{name} must be a number; got nan")
            return converted
    wanted = " or ".join(dict.fromkeys(_told(choice) for choice in choices))
    if isinstance(value, str) and any(typing.get_origin(choice) is Literal for choice in choices):
        raise BadConfig(f"{name} must be {wanted}; got {value!r:.60}")
    raise BadInput(f"{name} must be {wanted}; got {value!r:.60} ({type(value).__name__})")


def _choices(hint: Any) -> Iterator[Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        for part in typing.get_args(hint):
            yield from _choices(part)
    else:
        yield hint


def _converted(value: Any, hint: Any) -> tuple[bool, Any]:
    """Whether a value is of this type, and the value as that."""
    origin = typing.get_origin(hint)
    if origin is Literal:
        return isinstance(value, str) and value in typing.get_args(hint), value
    if hint is float:
        return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_), _number(value, float)
    if hint is int:
        return isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_), _number(value, int)
    if hint is bool:
        return isinstance(value, bool | np.bool_), bool(value) if isinstance(value, bool | np.bool_) else value
    if origin is Sequence:
        if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str) or np.ndim(value) != 1:
            return False, value
        parts = [_converted(v, typing.get_args(hint)[0]) for v in value]
        return all(fits for fits, _ in parts), [v for _, v in parts]
    kind = origin or hint
    return not isinstance(kind, type) or isinstance(value, kind), value


def _number(value: Any, kind: type) -> Any:
    try:
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        return value


def _told(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        *words, last = map(str, typing.get_args(hint))
        return f"{', '.join(words)} or {last}" if words else last
    if typing.get_origin(hint) is Sequence:
        return "a list of numbers"
    return {
        float: "a number",
        int: "a whole number",
        bool: "True or False",
        type(None): "None",
        Tensor: "a tensor",
    }.get(hint, getattr(hint, "__name__", str(hint)))
