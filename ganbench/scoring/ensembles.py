"""The test error of an ensemble, from the logits that its members' jobs kept."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from ganbench.errors import BadInput
from ganbench.metrics.score import Score
from ganbench.metrics.semi_supervised import error_score
from ganbench.registry import METRICS

Array = NDArray[Any]


def error_of_mean(members: Iterable[Path]) -> Score:
    """The metric of test errors by the members' mean probabilities. Raises `BadInput` for files that do not fit."""
    probs, truth = mean_probabilities(map(read_logits, members))
    metric = next(entry.name for entry in METRICS if entry.by_labels == "seen")
    return error_score(metric, probs.argmax(1), truth, probs.shape[1])


def mean_probabilities(members: Iterator[tuple[Array, Array]]) -> tuple[Array, Array]:
    """The mean over members of softmax(logits) (M, K), and the labels (M,) they share. Raises `BadInput`."""
    total, labels, count = np.zeros(0), np.zeros(0, int), 0
    for logits, y in members:
        if count and (logits.shape != total.shape or not np.array_equal(y, labels)):
            raise BadInput(f"members must classify the same test set; got {total.shape} and {logits.shape} logits")
        probs = softmax(logits.astype(np.float64), 1)
        total, labels, count = (total + probs if count else probs), y, count + 1
    return total / count, labels


def read_logits(path: Path) -> tuple[Array, Array]:
    """Test logits (M, K) and labels (M,) as `ganbench.jobs.keep` wrote them. Raises `BadInput` for another file."""
    try:
        with np.load(path, allow_pickle=False) as held:
            logits, y = held["logits"], held["y"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path.parent.name}/{path.name} holds no logits: {type(error).__name__}") from None
    if logits.ndim != 2 or y.shape != logits.shape[:1] or not np.isfinite(logits).all():
        raise BadInput(f"{path.parent.name}/{path.name} must hold finite logits (M, K) and labels (M,)")
    return logits, y
