"""Sample quality over training seeds: screen every metric with few seeds, confirm the suspects with fresh ones.

A pool of baseline seeds is stored. Five candidate seeds are screened by a one-sided Welch t test at .05; what is
flagged is trained again on ten fresh seeds, tested alone against the pool, with Holm's correction over what was flagged
at .01. Only that fails the gate, and only when the effect reaches max(2 %, half a standard deviation). Metrics that
are positive by nature are compared on the log scale, differences of sums (MMD^2, KID) as they are.
With a pool of 20 the whole gate of 20 metrics cries wolf in about 1 night of 60 and sees 2 SD in 95 of 100.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ganbench.errors import BadInput
from ganbench.gates.statistics import detectable, more_often, welch_greater
from ganbench.gates.verdict import Outcome, Verdict
from ganbench.stats import holm

SCREEN_SEEDS, CONFIRM_SEEDS = 5, 10
SCREEN_ALPHA, CONFIRM_ALPHA = 0.05, 0.01
LEAST_SHARE, LEAST_SD = 0.02, 0.5  # effects below both are reported, not failed
POWER = 0.8  # of the minimal detectable effect that is printed
SIGNED = ("mmd", "mmd2", "kid")  # scores that may be negative: compared as they are, the others by their logarithm


@dataclass(frozen=True)
class Pool:
    """Baseline values of one metric of one job over training seeds."""

    values: tuple[float, ...]
    direction: Literal["min", "max"]
    diverged: int = 0  # seeds that left no value
    tolerance: float = 1.0  # the smallest worsening that must be seen: a share, or absolute where `scale` is raw
    scale: Literal["log", "raw"] = "log"

    def worse(self, values: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Values on the scale they are tested on, turned so that greater is worse."""
        x = np.asarray(values, float)
        x = np.log(np.maximum(x, 1e-12)) if self.scale == "log" else x
        return x if self.direction == "min" else -x

    @property
    def sd(self) -> float:
        """Standard deviation over seeds on the tested scale."""
        return float(self.worse(self.values).std(ddof=1))

    def describe(self, effect: float) -> float:
        """An effect on the tested scale as the worsening a reader knows: a share on the log scale, else absolute."""
        if self.scale == "raw":
            return effect
        return math.expm1(effect) if self.direction == "min" else -math.expm1(-effect)

    @property
    def least(self) -> float:
        """The smallest effect that fails the gate, on the tested scale."""
        share = math.log1p(LEAST_SHARE)
        if self.scale == "raw":
            share = LEAST_SHARE * abs(float(np.mean(self.values)))
        return max(share, LEAST_SD * self.sd)


Runs = tuple[Sequence[float], int]  # values of the seeds that ended well, and how many diverged
Measure = Callable[[Literal["screen", "confirm"], Sequence[str]], Mapping[str, Runs]]


def screen_and_confirm(pools: Mapping[str, Pool], measure: Measure) -> list[Verdict]:
    """A verdict for every pool. `measure(stage, names)` trains the candidate on that stage's seeds for these names.

    Raises `BadInput` for a pool of fewer than 10 seeds.
    """
    for name, pool in pools.items():
        if len(pool.values) + pool.diverged < 10 or len(pool.values) < 2:
            raise BadInput(f"{name}: a baseline pool needs 10 seeds or more; it holds {len(pool.values)}")
    screened = measure("screen", list(pools))
    flagged = [n for n in pools if _p(pools[n], screened[n]) < SCREEN_ALPHA]
    confirmed = measure("confirm", flagged) if flagged else {}
    p = [_p(pools[n], confirmed[n]) for n in flagged]
    rejected = {n: (r, q) for n, r, q in zip(flagged, holm(p, CONFIRM_ALPHA), p, strict=True)}
    return [_verdict(n, pools[n], screened[n], confirmed.get(n), rejected.get(n)) for n in pools]


def _p(pool: Pool, runs: Runs) -> float:
    """The smaller p of two questions, doubled where both are asked: are values worse, do more seeds diverge?"""
    values, diverged = runs
    asked = []
    if len(values) >= 2:
        asked.append(welch_greater(list(pool.worse(pool.values)), list(pool.worse(values))))
    if diverged:
        before = (pool.diverged, pool.diverged + len(pool.values))
        asked.append(more_often(before, (diverged, diverged + len(values))))
    return min(1.0, min(asked) * len(asked)) if asked else 1.0


def _verdict(name: str, pool: Pool, screened: Runs, confirmed: Runs | None, test: tuple[bool, float] | None) -> Verdict:
    last = confirmed or screened
    base = float(pool.worse(pool.values).mean())
    effect = float(pool.worse(last[0]).mean()) - base if len(last[0]) else math.inf
    n = len(pool.values)
    mde = detectable(n, SCREEN_SEEDS, CONFIRM_SEEDS, SCREEN_ALPHA, CONFIRM_ALPHA, POWER) * pool.sd
    numbers = {
        "baseline": float(np.mean(pool.values)),
        "candidate": float(np.mean(last[0])) if len(last[0]) else math.nan,
        "worse_by": pool.describe(effect),
        "detectable": pool.describe(mde),
        "tolerance": pool.tolerance,
        "diverged": float(last[1]),
    }
    shown = f"{pool.describe(effect):+.1%}" if pool.scale == "log" else f"{pool.describe(effect):+.3g}"
    if test is not None:
        numbers["p"] = test[1]
        if test[0] and (effect >= pool.least or last[1] > pool.diverged):
            lost = f", {last[1]} of {len(last[0]) + last[1]} seeds diverged" if last[1] else ""
            reason = f"worse by {shown}{lost} on {CONFIRM_SEEDS} fresh seeds against {n} (p = {test[1]:.1g})"
            return Verdict("training", name, "regression", reason, numbers)
        if test[0]:
            reason = f"worse by {shown}, below the smallest effect that fails (p = {test[1]:.1g})"
            return Verdict("training", name, "note", reason, numbers)
    outcome: Outcome = "ok"
    reason = ""
    if numbers["detectable"] > pool.tolerance:
        outcome = "inconclusive"
        unit = "{:.0%}" if pool.scale == "log" else "{:.3g}"
        reason = (
            f"sees a worsening of {unit.format(numbers['detectable'])} in 4 of 5 nights; the declared tolerance is "
            f"{unit.format(pool.tolerance)}: add seeds to the pool, train longer or widen the tolerance"
        )
    elif test is not None:
        reason = f"flagged, not confirmed (p = {test[1]:.2g})"
    return Verdict("training", name, outcome, reason, numbers)


def read_pools(text: str) -> tuple[dict[str, Any], dict[str, Pool]]:
    """The stored baseline: what was run, and a pool per "model/data set/metric". Raises `BadInput`."""
    try:
        raw = json.loads(text)
        pools = {}
        for name, entry in raw["pools"].items():
            fields = {**entry, "values": tuple(map(float, entry["values"]))}
            pools[name] = Pool(**fields)
        return raw["run"], pools
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"the stored baseline pool cannot be read: {error}; make it anew with --update") from None
