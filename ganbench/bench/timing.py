"""How benchmarks count time: synchronised repeats of one call, median and spread, on the wall or the processor's clock.

Processor time leaves out what other programs take from a shared machine, and with it any waiting of our own.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

Clock = Literal["wall", "cpu"]
CLOCKS: dict[Clock, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class Timing:
    """Seconds of one call."""

    median: float
    low: float  # 10th percentile
    high: float  # 90th percentile
    best: float
    n: int

    @property
    def spread(self) -> float:
        """Distance between the 10th and the 90th percentile over the median."""
        return (self.high - self.low) / self.median


def repeat(
    function: Callable[[], object], *, clock: Clock = "wall", seconds: float = 0.5, least: int = 5, most: int = 200
) -> Timing:
    """Call again and again for about `seconds`, after one call that warms up."""
    count, now = calls_of(function, clock)
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < least or (time.perf_counter() - start < seconds and len(times) < most):
        times.append(once(function, count, now))
    return summary(times)


def calls_of(function: Callable[[], object], clock: Clock, target: float = 2e-3) -> tuple[int, Callable[[], float]]:
    """How many calls make one reading of at least `target` seconds, found after warming up; and the clock."""
    now = CLOCKS[clock]
    once(function, 1, now)
    took = once(function, 1, now)
    return max(1, min(10_000, round(target / max(took, 1e-7)))), now


def once(function: Callable[[], object], count: int, now: Callable[[], float]) -> float:
    """Seconds of one call, averaged over `count` of them; waits for the GPU where there is one."""
    _synchronise()
    start = now()
    for _ in range(count):
        function()
    _synchronise()
    return (now() - start) / count


def summary(times: list[float]) -> Timing:
    """Median and spread of readings."""
    ordered = sorted(times)
    n = len(ordered)
    return Timing(statistics.median(ordered), ordered[n // 10], ordered[n - 1 - n // 10], ordered[0], n)


def interleave(
    functions: dict[str, Callable[[], object]], *, clock: Clock = "wall", rounds: int = 7, target: float = 2e-2
) -> dict[str, list[float]]:
    """Seconds of each function in every round, in the order a b ... b a, so that drift falls on all alike."""
    counts = {name: calls_of(f, clock, target)[0] for name, f in functions.items()}
    now, order = CLOCKS[clock], list(functions)
    found: dict[str, list[float]] = {name: [] for name in order}
    for i in range(rounds):
        for name in order if i % 2 == 0 else order[::-1]:
            found[name].append(once(functions[name], counts[name], now))
    return found


def ratio(slow: list[float], fast: list[float]) -> tuple[float, float, float]:
    """How many times faster the second is: median of the rounds' ratios, with their lowest and highest."""
    ratios = sorted(a / b for a, b in zip(slow, fast, strict=True))
    return statistics.median(ratios), ratios[0], ratios[-1]


def _synchronise() -> None:
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
