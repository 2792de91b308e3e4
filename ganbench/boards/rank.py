"""Means over training seeds with intervals, tie groups within a task, and overall ranks with intervals.

Training seeds are the unit: intervals are Student t over seeds (a percentile bootstrap of 3 to 5 seeds covers 75-83 %).
Tie groups are Welch t tests on all pairs of a task with Holm's correction (Holm 1979), shown as compact letters
(Piepho 2004): two entries that share a letter are not told apart. The overall order is the mean over tasks of
tie-aware ranks; its interval draws each mean from its t distribution and ranks anew. A board's tasks are chosen, not
drawn, so they stay as they are: an interval speaks of the place on these tasks with seeds without end. Resampling them
would speak of tasks that nobody drew, and from two or three it cannot: two tasks resample to one of them half the time.

Shapes      E entries, T tasks, R draws.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from string import ascii_letters

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ganbench.errors import BadInput
from ganbench.stats import Rank, holm, welch

FORMULA = {
    "mean-rank/2": (
        "Per task, entries are ranked by the mean of the primary metric over training seeds, equal means sharing the "
        "mean of their ranks; a diverged seed counts as the worst value any entry reached on the task, an entry that "
        "always diverged comes last. The overall order is the mean of these ranks over all tasks, equal mean ranks "
        "sharing a place. [low–high] is the {level:.0%} interval (mid-P) of the place on these tasks over {draws} "
        "draws of each mean from its t distribution over seeds; of other tasks it says nothing. Entries that share a "
        "letter are not told apart by Welch's t test at {alpha:g}, Holm-corrected over all pairs of the task."
    )
}


def tie_letters(values: Mapping[str, Sequence[float]], direction: str, alpha: float = 0.05) -> dict[str, str]:
    """Compact letters of one task: entries that share one are not told apart; "a" holds the best.

    `values` maps entry -> its value per seed; infinite values stand for diverged seeds of an entry that never
    converged: such entries tie with each other only.
    """
    means = {e: float(np.mean(np.sort(v))) for e, v in values.items()}
    sign = -1 if direction == "max" else 1
    lost = {e for e, m in means.items() if math.isinf(m)}
    order = sorted(values, key=lambda e: (e in lost, sign * means[e], e))
    kept = [e for e in order if e not in lost]
    pairs = list(combinations(kept, 2))
    rejected = holm([welch(values[a], values[b]) for a, b in pairs], alpha)
    different = {pair for pair, no in zip(pairs, rejected, strict=True) if no}
    different |= {(a, b) for a in kept for b in lost}

    place = {e: i for i, e in enumerate(order)}
    groups = [frozenset(order)] if order else []
    for a, b in sorted(different, key=lambda ab: (place[ab[0]], place[ab[1]])):  # insert ...
        split = [g for g in groups if a in g and b in g]
        groups = [g for g in groups if g not in split] + [g - {e} for g in split for e in (a, b)]
        groups = [g for g in set(groups) if not any(g < other for other in groups)]  # ... and absorb
    groups.sort(key=lambda g: sorted(place[e] for e in g))
    return {e: "".join(_letter(i) for i, g in enumerate(groups) if e in g) for e in order}


def _letter(i: int) -> str:
    """a ... z A ... Z, then the same with primes."""
    return ascii_letters[i % 52] + "′" * (i // 52)


def impute_worst(
    values: Mapping[str, Sequence[float]], diverged: Mapping[str, int], direction: str
) -> dict[str, list[float]]:
    """Values per seed with diverged seeds filled in: the worst value anyone reached, or infinity if none converged."""
    sign = -1.0 if direction == "max" else 1.0
    everyone = [sign * v for vs in values.values() for v in vs]
    worst = sign * max(everyone, default=0.0)
    return {
        e: [*vs, *[worst] * diverged.get(e, 0)] if len(vs) else [sign * math.inf] * max(1, diverged.get(e, 0))
        for e, vs in values.items()
    }


def overall(
    tasks: Mapping[str, tuple[str, Mapping[str, Sequence[float]]]], alpha: float = 0.05, draws: int = 2000
) -> dict[str, Rank]:
    """Places with intervals over a complete table: task -> (direction, entry -> value per seed).

    Every task must hold the same entries; at least one value each. The stream of each (entry, task) is derived from
    their names, so neither the order of entries nor a new entry changes the draws of the others.
    Raises `BadInput` for an incomplete table.
    """
    names = sorted(tasks)
    entries = sorted(next(iter(tasks.values()))[1]) if tasks else []
    for task in names:
        if sorted(tasks[task][1]) != entries:
            missing = set(entries) ^ set(tasks[task][1])
            raise BadInput(f"overall ranks need a complete table; task {task} differs in {', '.join(sorted(missing))}")
    if not entries:
        return {}
    drawn = np.zeros((draws, len(entries)))  # mean ranks of each draw
    point = np.zeros(len(entries))
    for task in names:
        direction, values = tasks[task]
        sign = -1.0 if direction == "max" else 1.0
        means = np.array([sign * np.mean(np.sort(np.asarray(values[e], float))) for e in entries])
        noise = np.stack([_seed_noise(values[e], draws, task, e) for e in entries], 1)  # (R, E)
        point += _ranks(means[None])[0] / len(names)
        drawn += _ranks(means + noise) / len(names)
    observed = point.round(9)
    low, high = _mid_p_interval(stats.rankdata(drawn.round(9), "average", axis=1), alpha)
    place, last = stats.rankdata(observed, "min"), stats.rankdata(observed, "max")
    return {
        e: Rank(int(place[i]), min(low[i], int(place[i])), max(high[i], int(last[i])), float(observed[i]))
        for i, e in enumerate(entries)
    }


def _ranks(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks along the last axis, 1 for the smallest; values that agree to 12 digits share the mean of their ranks."""
    mantissa, exponent = np.frexp(x)  # digits of each value by itself: one that blew up must not tie all the others
    ranks: NDArray[np.float64] = stats.rankdata(np.ldexp(np.round(mantissa * 2.0**40), exponent), "average", axis=-1)
    return ranks


def _mid_p_interval(ranks: NDArray[np.float64], alpha: float) -> tuple[list[int], list[int]]:
    """Equal-tailed interval of each column of (R, E) drawn ranks, counting half of the draws at its ends.

    Ranks are few and discrete: plain quantiles cover more than they say, mid-P ones (Lancaster 1961) about as much.
    """
    low, high = [], []
    for drawn in ranks.T:
        values = np.arange(1, ranks.shape[1] + 1)
        below = np.searchsorted(np.sort(drawn), values, "left")
        mid = (below + np.searchsorted(np.sort(drawn), values, "right")) / (2 * len(drawn))
        low.append(int(values[mid > alpha / 2].min(initial=len(values))))
        high.append(int(values[mid < 1 - alpha / 2].max(initial=1)))
    return low, high


def _seed_noise(values: Sequence[float], draws: int, *key: str) -> NDArray[np.float64]:
    """Draws of (true mean - observed mean) under the t distribution of the seeds' mean: -> (R,)."""
    x = np.sort(np.asarray(values, float))
    n = len(x)
    if n < 2 or not np.isfinite(x).all():
        return np.zeros(draws)
    return _stream(*key).standard_t(n - 1, draws) * float(x.std(ddof=1)) / math.sqrt(n)


def _stream(*key: str) -> np.random.Generator:
    digest = hashlib.sha256("\x1f".join(key).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
