"""What a score can be at all: no interval over seeds may promise more than a count of modes or a share allows."""

from __future__ import annotations

import math

from ganbench.registry import DATASETS, METRICS


def bounds(score: str, dataset: str) -> tuple[float, float]:
    """The least and the greatest value that a score can have on a data set; infinities where nothing bounds it."""
    names = (score, score.rpartition("_")[0])  # svm_error_100 is a score of svm_error
    said = [e.bounds_of(score) for name in names for e in METRICS if name in (e.name, *e.returns)]
    low, high = said[0] if said else (None, None)
    entry = DATASETS.entries.get(dataset)
    if entry is not None and entry.greatest:
        high = entry.greatest.get(score, high)
    return -math.inf if low is None else low, math.inf if high is None else high
