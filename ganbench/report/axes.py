"""Axes of plots and of drawn intervals: linear, or logarithmic where values span decades."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Axis:
    """Maps values to places on the page: linearly, in the logarithm, or in it beyond a knee where signs change."""

    low: float
    high: float
    start: float
    end: float
    log: bool
    knee: float = 0.0  # of a logarithmic axis with a linear part around 0: where that ends

    @classmethod
    def over(cls, values: Iterable[float], start: float, end: float, *, log: bool = False, knee: float = 0.0) -> Axis:
        """An axis that holds all values, with a margin."""
        found = [v for v in values if math.isfinite(v)]
        found = [_bent(v, log, knee) for v in found]
        low, high = min(found, default=0.0), max(found, default=1.0)
        margin = 0.06 * (high - low) or max(abs(high) * 0.1, 0.1)
        return cls(low - margin, high + margin, start, end, log, knee)

    @classmethod
    def fitting(cls, values: Iterable[float], start: float, end: float) -> Axis:
        """An axis that is logarithmic where the largest value is 50 times one that is among the small ones."""
        found = sorted(v for v in values if math.isfinite(v))
        sizes = sorted(abs(v) for v in found if v)
        if len(sizes) < 2 or sizes[-1] < 50 * sizes[len(sizes) // 4]:
            return cls.over(found, start, end)
        if found[0] > 0:
            return cls.over(found, start, end, log=True)
        return cls.over(found, start, end, log=True, knee=10.0 ** math.floor(math.log10(sizes[len(sizes) // 4])))

    def place(self, value: float) -> float:
        """Where a value is drawn; what lies beyond the axis sits on its edge."""
        x = _bent(value, self.log, self.knee)
        share = min(1.0, max(0.0, (x - self.low) / (self.high - self.low)))
        return round(self.start + share * (self.end - self.start), 1)

    def holds(self, value: float) -> bool:
        """Whether a value lies within the axis, not on its edge for lack of room."""
        return self.low <= _bent(value, self.log, self.knee) <= self.high

    def ticks(self, count: int = 5) -> list[Tick]:
        """About `count` round values."""
        if self.knee:
            top = math.ceil(math.log10(self.knee)) + 24
            sizes = [10.0**k for k in range(math.floor(math.log10(self.knee)) + 1, top)]
            values = [v for v in (*(-s for s in sizes), 0.0, *sizes) if self.holds(v)]
        elif self.log:
            values = [m * 10**k for k in range(math.floor(self.low), math.ceil(self.high) + 1) for m in (1, 2, 5)]
            values = [v for v in values if self.holds(v)]
            values = [v for v in values if f"{v:e}"[0] == "1"] if len(values) > count + 2 else values
        else:
            raw = (self.high - self.low) / count
            power = 10.0 ** math.floor(math.log10(raw))
            step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw)
            first = math.ceil(self.low / step)
            values = [k * step for k in range(first, math.floor(self.high / step) + 1)]
        return [Tick(self.place(v), f"{v:.6g}") for v in values]


def _bent(value: float, log: bool, knee: float) -> float:
    """A value on an axis before it is scaled."""
    if knee:
        return math.asinh(value / knee) / math.log(10)
    return math.log10(max(value, 1e-9)) if log else value
