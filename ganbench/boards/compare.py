"""Differences between two sets of records, A and B: paired over the seeds they share, with intervals and a verdict.

Two runs of one seed share data order and latent draws, so their difference is taken seed by seed (Student t over
seeds); without two shared seeds the means are compared by Welch's test. Verdicts are Holm-corrected over all rows.

Rows are compared with the row of the same name. Where a model has none, but one row on either side, those are compared:
two settings of one model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

from ganbench.boards.standings import latest
from ganbench.errors import BadInput
from ganbench.jobs.records import MetricRow, Record
from ganbench.stats import estimate, holm, welch

Key = tuple[str, str, str, str]  # row, data set, scale, metric
Seeds = dict[int, MetricRow]  # seed -> score
Table = dict[Key, Seeds]
Verdict = Literal["better", "worse", "same", "not comparable"]


@dataclass(frozen=True)
class Difference:
    """B minus A for one model, data set and metric."""

    model: str  # the row, or "row of A -> row of B" for two settings of one model
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
    pairs = {key: (left[key], right[key]) for key in left.keys() & right.keys()} | _two_settings(left, right)
    found = [_difference(key, *pairs[key]) for key in sorted(pairs)]
    if not found:
        raise BadInput("the two have no model, data set, scale and metric in common")
    tested = [i for i, d in enumerate(found) if d.p is not None]
    real = dict(zip(tested, holm([found[i].p or 0.0 for i in tested], alpha), strict=True))
    return [_judge(d, real.get(i, False)) for i, d in enumerate(found)]


def _two_settings(left: Table, right: Table) -> dict[Key, tuple[Seeds, Seeds]]:
    """The scores of models that have one row on either side, and not the same one."""
    alone: list[dict[Key, str]] = []  # (model, data set, scale, metric) -> the only row, of either side
    for side in (left, right):
        rows: dict[Key, list[str]] = {}
        for row, dataset, scale, metric in side:
            rows.setdefault((row.partition("[")[0], dataset, scale, metric), []).append(row)
        alone.append({key: names[0] for key, names in rows.items() if len(names) == 1})
    found = {}
    for key in alone[0].keys() & alone[1].keys():
        mine, other = (side[key] for side in alone)
        if mine != other:
            found[f"{mine} -> {other}", *key[1:]] = left[mine, *key[1:]], right[other, *key[1:]]
    return found


def _judge(d: Difference, real: bool) -> Difference:
    if not real or d.direction not in ("min", "max"):
        return d
    better = d.difference < 0 if d.direction == "min" else d.difference > 0
    return replace(d, verdict="better" if better else "worse")


def _table(records: Iterable[Record]) -> Table:
    """The scores of the jobs that ended well."""
    table: Table = {}
    for record in latest(records):
        spec = record.spec
        for score in record.metrics if record.status == "ok" else ():
            key = (spec.row, spec.dataset, spec.scale, score.name)
            table.setdefault(key, {})[spec.seed] = score
    return table


def _difference(key: Key, a: Seeds, b: Seeds) -> Difference:
    model, dataset, _, metric = key
    xs, ys = ([side[s].value for s in sorted(side)] for side in (a, b))
    direction = next(iter(a.values())).direction
    mean_a, mean_b = float(np.mean(xs)), float(np.mean(ys))
    common = (model, dataset, metric, direction, mean_a, mean_b, len(xs), len(ys))
    signatures = {s.signature for side in (a, b) for s in side.values()}
    if len(signatures) > 1:
        reason = f"signatures differ: {'; '.join(sorted(signatures))}"
        return Difference(*common, mean_b - mean_a, None, None, None, 0, "not comparable", reason)
    shared = sorted(a.keys() & b.keys())
    if len(shared) >= 2:
        deltas = [b[s].value - a[s].value for s in shared]
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
