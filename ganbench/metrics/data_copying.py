"""The data-copying test: whether samples lie nearer to the training set than unseen real events do.

Meehan, Chaudhuri and Dasgupta 2020 (arXiv:2004.05675), C_T: distances to the nearest training row, of samples and of
held-out real rows, are compared by Mann and Whitney's U within each cell of a k-means partition of the training set.
Departures  the value is standardised over cells, so that its null law is N(0, 1) for any number of them; ties count one
            half and their variance is corrected; no continuity correction.
Shapes      N samples, M held-out real rows, T training rows, F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.stats import norm, rankdata
from torch import Tensor

from ganbench.errors import BadConfig, BadInput
from ganbench.metrics.base import Score, check_events, check_pair, metric, signature
from ganbench.ops.clusters import Clusters
from ganbench.ops.neighbors import nearest
from ganbench.ops.pairwise import precision_name


@metric("ct", direction="floor", degree=0)
def ct(
    features: Tensor,
    reference_features: Tensor,
    train_features: Tensor,
    *,
    rng: torch.Generator,
    space: str = "features",
    cells: int = 3,
    least: int = 20,
) -> Score:
    """Z-score of samples (N, F) against held-out real rows (M, F) in their distance to the training set (T, F).

    Far below 0 the samples are copies, more or less altered; near 0 they keep the distance that unseen real events
    keep; far above they lie off the data. Fresh draws of the law that made the training set have N(0, 1), whatever that
    law and the training set: both sides' distances are exchangeable. `extra["p_copying"]` is the one-sided probability.
    It is a test of one training set at these sizes, so its value grows with the root of the sizes where it is not 0.

    Cells of the partition with fewer than `least` samples, as many reference rows or no training row are left out;
    `extra` holds the share of the reference that is compared, each cell's size and z, and the published C_T: the mean
    of z by the cells' share of the reference. `se` is DeLong's error of the U statistics in units of their null
    deviation.

    Raises `BadInput` for sets that do not belong together or when no cell holds enough rows.
    """
    if cells < 1 or least < 2:
        raise BadConfig(f"cells must be at least 1 and least at least 2; got {cells} and {least}")
    x = check_events(features, "features", at_least=least)
    real = check_events(reference_features, "reference_features", at_least=least)
    train = check_events(train_features, "train_features", at_least=cells)
    check_pair(features, reference_features, "features", "reference_features")
    check_pair(features, train_features, "features", "train_features")
    partition = Clusters.of(train, cells, rng)
    of_x, of_real, of_train = (partition.nearest(s) for s in (x, real, train))
    found: list[_Cell] = []
    for k in range(cells):
        a, b, t = x[of_x == k], real[of_real == k], train[of_train == k]
        if len(a) >= least and len(b) >= least and len(t):
            found.append(_Cell.of(nearest(a, t).squares[:, 0], nearest(b, t).squares[:, 0], len(b) / len(real)))
    if not found:
        raise BadInput(
            f"features must hold at least {least} rows in a cell of the partition; draw more, or lower cells"
        )
    total = sum(c.share**2 for c in found) ** 0.5
    value = sum(c.share * c.z for c in found) / total
    se = sum((c.share * c.se) ** 2 for c in found) ** 0.5 / total
    compared = sum(c.share for c in found)
    extra = {
        "c_t": sum(c.share * c.z for c in found) / compared,
        "p_copying": float(norm.cdf(value)),
        "reference_compared": compared,
        "cells": [[c.n, c.m, c.z] for c in found],
    }
    parts = (f"cells={cells}", f"n={len(x)}", f"m={len(real)}", f"train={len(train)}", space, precision_name(x))
    return Score("ct", value, len(x), signature("ct", *parts), "floor", se=se, extra=extra)


@dataclass(frozen=True)
class _Cell:
    """Mann and Whitney's U of one cell in units of its null deviation."""

    z: float
    se: float
    n: int
    m: int
    share: float  # of the reference

    @classmethod
    def of(cls, a: Tensor, b: Tensor, share: float) -> _Cell:
        """Of the distances of samples (n,) and of real rows (m,): positive where samples are farther."""
        n, m = len(a), len(b)
        pooled = torch.cat([a, b]).cpu().numpy()
        ranks = torch.from_numpy(rankdata(pooled))
        # The share of the other set that lies nearer, ties one half: the placements of each row.
        below_a = (ranks[:n] - torch.from_numpy(rankdata(pooled[:n]))) / m
        below_b = (ranks[n:] - torch.from_numpy(rankdata(pooled[n:]))) / n
        area = float(below_a.mean())
        ties = torch.from_numpy(pooled).unique(return_counts=True)[1].double()
        correction = float((ties**3 - ties).sum()) / ((n + m) * (n + m - 1))
        null = (max(n + m + 1 - correction, 0.0) / (12 * n * m)) ** 0.5
        if len(ties) == 1:  # all distances are equal
            return cls(0.0, 1.0, n, m, share)
        variance = float(below_a.var()) / n + float(below_b.var()) / m
        return cls((area - 0.5) / null, variance**0.5 / null, n, m, share)
