"""The tests behind the gates: one-sided Welch, Fisher, detectable effects, and bounds on paired log ratios.

Source      Welch 1947, Biometrika 34.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special, stats


def welch_greater(a: Sequence[float], b: Sequence[float]) -> float:
    """One-sided p of Welch's t test that the mean of b exceeds the mean of a; both need two values or more.

    Without any spread on either side the answer is certain: 0 where b is greater, else 1.
    """
    x, y = np.asarray(a, float), np.asarray(b, float)
    n, m = len(x), len(y)
    u, v = float(x.var(ddof=1)) / n, float(y.var(ddof=1)) / m
    gap = float(y.mean() - x.mean())
    rounding = 1e-12 * max(float(np.abs(x).max()), float(np.abs(y).max()))
    if math.sqrt(u + v) <= rounding:
        return 0.0 if gap > rounding else 1.0
    df = (u + v) ** 2 / (u**2 / (n - 1) + v**2 / (m - 1))
    return float(special.stdtr(df, -gap / math.sqrt(u + v)))


def more_often(a: tuple[int, int], b: tuple[int, int]) -> float:
    """One-sided p of Fisher's exact test that (events, trials) of b come from a higher rate than those of a."""
    (i, n), (j, m) = a, b
    return float(stats.hypergeom.sf(j - 1, n + m, i + j, m))


@lru_cache(maxsize=256)
def detectable(pool: int, screen: int, confirm: int, screen_alpha: float, confirm_alpha: float, power: float) -> float:
    """The effect, in standard deviations, that a screen and its confirmation both see with this power.

    For equal variances, with Welch's degrees of freedom; the confirmation shares its level with one other suspect.
    """

    def seen(effect: float) -> float:
        out = 1.0
        for m, alpha in ((screen, screen_alpha), (confirm, confirm_alpha / 2)):
            df = (1 / pool + 1 / m) ** 2 / (1 / (pool**2 * (pool - 1)) + 1 / (m**2 * (m - 1)))
            out *= float(stats.nct.sf(stats.t.isf(alpha, df), df, effect * math.sqrt(pool * m / (pool + m))))
        return out

    low, high = 0.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if seen(middle) < power else (low, middle)
    return high


@dataclass(frozen=True)
class Bound:
    """A mean with the half-width of its one-sided Student-t bound."""

    mean: float
    half: float
    n: int

    @property
    def low(self) -> float:
        """With confidence 95 % the truth is not below this."""
        return self.mean - self.half


def t_bound(values: Sequence[float], level: float = 0.95) -> Bound:
    """Mean and one-sided t bound of paired log ratios; an infinite half-width for fewer than two."""
    x = np.asarray(values, float)
    n = len(x)
    if n < 2:
        return Bound(float(x.mean()) if n else math.nan, math.inf, n)
    return Bound(float(x.mean()), float(special.stdtrit(n - 1, level)) * float(x.std(ddof=1)) / math.sqrt(n), n)
