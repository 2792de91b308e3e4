"""Captions of rendered digits: a small grammar with synonyms, two word orders, and parts that may be left out.

A caption names the digit and the colour always, the other attributes mostly; what it leaves out is free. Reading a
caption gives back what it names, exactly.

Shapes      N captions, L = 12 tokens, padded with -1; A attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from ganbench.datasets.rendering import ATTRIBUTES

T = TypeVar("T")

LENGTH = 12
NAMED = 0.8  # how often size, place and stroke are named
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SYNONYMS: dict[str, tuple[str, ...]] = {
    "red": ("red", "crimson"), "green": ("green", "emerald"), "blue": ("blue", "azure"),
    "yellow": ("yellow", "golden"), "cyan": ("cyan", "turquoise"), "purple": ("purple", "violet"),
    "small": ("small", "little", "tiny"), "large": ("large", "big", "huge"),
    "left": ("left", "leftmost"), "right": ("right", "rightmost"),
    "thin": ("thin", "fine"), "thick": ("thick", "bold"),
}  # fmt: skip
GLUE = ("a", "in", "at", "the", ",")
WORDS = (*GLUE, *DIGITS, *(word for words in SYNONYMS.values() for word in words))
_INDEX = {word: i for i, word in enumerate(WORDS)}
# What a word says: (attribute, value), the digit being attribute -1.
_MEANING = {word: (-1, d) for d, word in enumerate(DIGITS)} | {
    word: (a, v) for a, attribute in enumerate(ATTRIBUTES) for v, value in enumerate(attribute.values)
    for word in SYNONYMS[value]
}  # fmt: skip


def caption(digit: int, values: list[int], draws: list[float]) -> list[str]:
    """Words for a digit with values of `ATTRIBUTES`, chosen by nine draws from [0, 1).

    "a small thick red three at the left", say.
    """
    colour, size, place, stroke = (
        _pick(SYNONYMS[a.values[v]], u) for a, v, u in zip(ATTRIBUTES, values, draws[:4], strict=True)
    )
    named_size, named_place, named_stroke = (u < NAMED for u in draws[4:7])
    adjectives = [size] * named_size + [stroke] * named_stroke
    noun = _pick(([colour, DIGITS[digit]], [DIGITS[digit], "in", colour]), draws[7])
    where = _pick(([",", place], ["at", "the", place]), draws[8])
    return ["a", *adjectives, *noun, *(where if named_place else [])]


def captions(digits: Tensor, values: Tensor, rng: torch.Generator) -> Tensor:
    """Tokens of a caption for each row: (N,), (N, 4) -> (N, 12) int64."""
    out = []
    draws = torch.rand(len(digits), 9, generator=rng, dtype=torch.float64)
    for digit, held, row in zip(digits.tolist(), values.tolist(), draws.tolist(), strict=True):
        tokens = [_INDEX[word] for word in caption(digit, held, row)]
        out.append(tokens + [-1] * (LENGTH - len(tokens)))
    return torch.tensor(out)


def _pick(options: Sequence[T], draw: float) -> T:
    return options[int(draw * len(options))]


def read(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Digits (N,) and values of `ATTRIBUTES` (N, 4) that captions (N, 12) name; -1 where one is left out."""
    table = torch.full((len(WORDS) + 1, 2), -2)  # the last row is the padding's
    for word, meaning in _MEANING.items():
        table[_INDEX[word]] = torch.tensor(meaning)
    what, value = table[tokens].unbind(2)  # (N, L)
    found = [torch.where(what == a, value, -1).amax(1) for a in (-1, *range(len(ATTRIBUTES)))]
    return found[0], torch.stack(found[1:], 1)
