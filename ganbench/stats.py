"""Statistics that boards, tables, gates and metrics share: means over seeds, tests between them, intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """The mean over training seeds of one metric, with what is known of its error."""

    mean: float
    n: int  # seeds with a value
    sd: float | None = None  # over seeds; None for one seed
    low: float | None = None  # Student-t interval; None under 3 seeds
    high: float | None = None
    diverged: int = 0  # seeds that diverged and have no value


@dataclass(frozen=True)
class Rank:
    """A place among the ranked entries, with its interval and the mean rank it comes from."""

    place: int
    low: int
    high: int
    mean_rank: float


def estimate(
    values: Sequence[float], diverged: int = 0, level: float = 0.95, bounds: tuple[float, float] = (-math.inf, math.inf)
) -> Estimate:
    """Mean and Student-t interval over seeds, cut at what the score can be; no interval under 3 seeds.

    NaN for no values at all.
    """
    x = np.sort(np.asarray(values, float))  # sorted: sums do not depend on the order of the records
    n = len(x)
    if n == 0:
        return Estimate(math.nan, 0, diverged=diverged)
    mean = float(x.mean())
    if n == 1:
        return Estimate(mean, 1, diverged=diverged)
    sd = float(x.std(ddof=1))
    if n == 2:
        return Estimate(mean, 2, sd, diverged=diverged)
    half = half_width(sd / math.sqrt(n), n - 1, level)
    low, high = min(mean, max(bounds[0], mean - half)), max(mean, min(bounds[1], mean + half))
    return Estimate(mean, n, sd, low, high, diverged)


def welch(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p of Welch's t test; 1 where fewer than 2 seeds leave nothing to test with.

    Without any spread on either side, equal means give 1 and different means 0.
    """
    if len(a) < 2 or len(b) < 2:
        return 1.0
    x, y = np.sort(np.asarray(a, float)), np.sort(np.asarray(b, float))
    scale = max(1e-300, float(np.abs(np.concatenate([x, y])).max()))
    if max(np.ptp(x), np.ptp(y)) <= 1e-9 * scale:  # both constant: the t statistic is 0/0 or infinite
        return 1.0 if abs(x[0] - y[0]) <= 1e-9 * scale else 0.0
    moments = (x.mean(), x.std(ddof=1), len(x), y.mean(), y.std(ddof=1), len(y))
    return float(stats.ttest_ind_from_stats(*moments, equal_var=False).pvalue)


def holm(p: Sequence[float], alpha: float) -> list[bool]:
    """Which hypotheses Holm's step-down procedure rejects at family-wise level `alpha`."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    rejected = [False] * len(p)
    for step, i in enumerate(order):
        if p[i] > alpha / (len(p) - step):
            break
        rejected[i] = True
    return rejected


def half_width(se: float, freedom: float, level: float = 0.95) -> float:
    """Half of the Student-t interval of an estimate with this standard error and degrees of freedom."""
    return se * float(stats.t.ppf(0.5 + level / 2, freedom))


def wilson(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a binomial share."""
    z = float(stats.norm.ppf(0.5 + level / 2))
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)
