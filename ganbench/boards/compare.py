"""Differences between two sets of records, A and B: paired over the seeds they share, with intervals and a verdict.

Two runs of one seed share data order and latent draws, so their difference is taken seed by seed (Student t over
seeds); without two shared seeds the means are compared by Welch's test. Verdicts are Holm-corrected over all rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from ganbench.boards.standings import Record, latest
from ganbench.errors import BadInput
from ganbench.jobs.spec import row_name
from ganbench.stats import estimate, holm, welch

Verdict = Literal["better", "worse", "same", "not comparable"]


@dataclass(frozen=True)
class Difference:
    """B minus A for one model, data set and metric."""

    model: str
    dataset: str
    metric: str
    direction: str
    a: float
    b: float
    n_a: int
    n_b: int
    difference: float
    low: float | None  # 95 % interval; None under 3 seeds
    high: float | None
    p: float | None
    paired: int  # seeds that both sides share; 0 where Welch's test was used
    verdict: Verdict  # of B; `same` means not told apart
    reason: str = ""


def compare(a: Iterable[Record], b: Iterable[Record], alpha: float = 0.05) -> list[Difference]:
    """Every (model, data set, metric) that both sides have scored. Raises `BadInput` when there is none."""
    left, right = _table(a), _table(b)
    found = [_difference(key, left[key], right[key]) for key in sorted(left.keys() & right.keys())]
    if not found:
        raise BadInput("the two have no model, data set, scale and metric in common")
    tested = [i for i, d in enumerate(found) if d.p is not None]
    real = dict(zip(tested, holm([found[i].p or 0.0 for i in tested], alpha), strict=True))
    return [_judge(d, real.get(i, False)) for i, d in enumerate(found)]


def _judge(d: Difference, real: bool) -> Difference:
    if not real or d.direction not in ("min", "max"):
        return d
    better = d.difference < 0 if d.direction == "min" else d.difference > 0
    return Difference(**{**vars(d), "verdict": "better" if better else "worse"})


def _table(records: Iterable[Record]) -> dict[tuple[str, str, str, str], dict[int, Mapping[str, Any]]]:
    """(model, data set, scale, metric) -> seed -> score."""
    table: dict[tuple[str, str, str, str], dict[int, Mapping[str, Any]]] = {}
    for record in latest(records):
        spec = record["spec"]
        for score in record.get("metrics") or () if record["status"] == "ok" else ():
            if score.get("value") is not None:
                key = (row_name(spec), spec["dataset"], spec["scale"], score["name"])
                table.setdefault(key, {})[spec["seed"]] = score
    return table


def _difference(
    key: tuple[str, str, str, str], a: Mapping[int, Mapping[str, Any]], b: Mapping[int, Mapping[str, Any]]
) -> Difference:
    model, dataset, _, metric = key
    xs, ys = ([float(side[s]["value"]) for s in sorted(side)] for side in (a, b))
    direction = str(next(iter(a.values())).get("direction", "none"))
    mean_a, mean_b = float(np.mean(xs)), float(np.mean(ys))
    common = (model, dataset, metric, direction, mean_a, mean_b, len(xs), len(ys))
    signatures = {str(s.get("signature")) for side in (a, b) for s in side.values()}
    if len(signatures) > 1:
        reason = f"signatures differ: {'; '.join(sorted(signatures))}"
        return Difference(*common, mean_b - mean_a, None, None, None, 0, "not comparable", reason)
    shared = sorted(a.keys() & b.keys())
    if len(shared) >= 2:
        deltas = [float(b[s]["value"]) - float(a[s]["value"]) for s in shared]
        e = estimate(deltas)
        spread = e.sd or 0.0
        paired_p = 1.0 if e.mean == 0 else 0.0
        if spread > 0:
            paired_p = float(2 * stats.t.sf(abs(e.mean) / (spread / math.sqrt(e.n)), e.n - 1))
        return Difference(*common, e.mean, e.low, e.high, paired_p, len(shared), "same")
    low = high = None
    if min(len(xs), len(ys)) >= 3:
        interval = stats.ttest_ind(ys, xs, equal_var=False).confidence_interval(0.95)
        low, high = float(interval.low), float(interval.high)
    p = welch(xs, ys) if min(len(xs), len(ys)) >= 2 else None
    return Difference(*common, mean_b - mean_a, low, high, p, 0, "same")
