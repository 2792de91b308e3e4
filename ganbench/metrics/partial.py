"""Partial results: what must agree for two of them to be added, and which shares of a metric's work they hold.

A partial result is a frozen dataclass with `of(...)`, `+` and `score()` or `scores()`. Sums over rows (`ModeSums`,
`ClassSums`, `Moments`) come from shards of the samples. Where every row meets every other (`MMDSums`, `KIDSums`) or
every direction meets all rows (`SlicedSums`) each process holds both sets and does share k of K of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ganbench.errors import BadConfig, BadInput


@dataclass(frozen=True)
class Shares:
    """Which of `total` shares of one computation have been done."""

    done: frozenset[int]
    total: int

    @classmethod
    def one(cls, part: tuple[int, int]) -> Shares:
        """Share k of K, counted from zero. Raises `BadConfig` unless 0 <= k < K."""
        k, total = part
        if not 0 <= k < total:
            raise BadConfig(f"part must be (k, K) with 0 <= k < K, share k of K; got {part}")
        return cls(frozenset({k}), total)

    def __add__(self, other: Shares) -> Shares:
        check_same(self, other, "total")
        twice = self.done & other.done
        if twice:
            raise BadInput(f"shares must be added once; got {_names(twice)} of {self.total} twice")
        return Shares(self.done | other.done, self.total)

    def check_complete(self) -> None:
        """Raises `BadInput` that names the missing shares."""
        missing = frozenset(range(self.total)) - self.done
        if missing:
            raise BadInput(f"all {self.total} shares must be added before a score; {_names(missing)} is missing")


def check_same(a: Any, b: Any, *fields: str) -> None:
    """Refuses to add parts of different computations. Raises `BadInput` that names what differs."""
    for name in fields:
        mine, theirs = getattr(a, name), getattr(b, name)
        if mine != theirs:
            raise BadInput(
                f"parts must come from one computation; their {name} differ: {mine} and {theirs}; "
                "compute both on the same sets with the same arguments and seed"
            )


def _names(shares: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(shares)))
