"""Clusters against classes: the error of the best matching, and normalised mutual information.

Source      Munkres 1957 (the matching; in the literature "unsupervised clustering accuracy" is one minus this error);
            Strehl & Ghosh 2002 (mutual information over the mean of the two entropies).
Shapes      M test events, K clusters or classes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.base import Score, metric, signature
from ganbench.stats import wilson

BATCH = 1000


@metric("clustering_error", direction="min", asks=("cluster",), bounds=(0, 1))
def clustering_error(model: Any, reference: Tensor, test_labels: Tensor) -> Score:
    """Share of the test set (M, *E) outside its class when clusters are matched one to one with classes, at best.

    With more clusters than classes the surplus clusters count as errors; with fewer, the surplus classes do. The
    matching is chosen on the same labels, so the error is optimistic by order K / M. Raises `NotApplicable` for a model
    that does not cluster, `BadInput` for labels out of step.
    """
    table = confusion(model, reference, test_labels)
    rows, columns = linear_sum_assignment(table, maximize=True)
    right, m = int(table[rows, columns].sum()), int(table.sum())
    value, (low, high) = 1 - right / m, wilson(right, m)
    used = int((table.sum(1) > 0).sum())
    return Score(
        "clustering_error",
        value,
        m,
        signature("clustering_error", f"clusters={table.shape[0]}", f"K={table.shape[1]}", f"m={m}"),
        "min",
        math.sqrt(value * (1 - value) / m),
        (1 - high, 1 - low),
        extra={"clusters_used": used, "errors_per_10000": 1e4 * value},
    )


@metric("nmi", direction="max", asks=("cluster",), bounds=(0, 1))
def nmi(model: Any, reference: Tensor, test_labels: Tensor) -> Score:
    """Mutual information of clusters and classes over the mean of their entropies: 0 independent, 1 the same partition.

    Not corrected for chance: many small clusters raise it. Raises as `clustering_error` does.
    """
    table = confusion(model, reference, test_labels)
    value = normalised_mutual_information(table)
    text = signature("nmi", "arithmetic", f"clusters={table.shape[0]}", f"K={table.shape[1]}", f"m={int(table.sum())}")
    return Score("nmi", value, int(table.sum()), text, "max")


def confusion(model: Any, reference: Tensor, test_labels: Tensor) -> NDArray[np.int64]:
    """How many test events of each class fell in each cluster: (clusters, classes)."""
    if "cluster" not in model.gives:
        raise NotApplicable(f"{model.name} does not cluster")
    if len(reference) != len(test_labels) or len(reference) == 0:
        raise BadInput(
            f"test_labels must have one label per row of reference; got {len(test_labels)}, {len(reference)}"
        )
    with torch.no_grad():
        clusters = torch.cat([model.cluster(x) for x in reference.split(BATCH)]).cpu()
    n_clusters, n_classes = int(clusters.max()) + 1, int(test_labels.max()) + 1
    index = clusters * n_classes + test_labels.cpu()
    counts = torch.bincount(index, minlength=n_clusters * n_classes).view(n_clusters, n_classes)
    table: NDArray[np.int64] = counts.numpy()
    return table


def normalised_mutual_information(table: NDArray[np.int64]) -> float:
    """2 I(clusters; classes) / (H(clusters) + H(classes)) of a table of counts; 1 when both have one part only."""
    joint = table / table.sum()
    rows, columns = joint.sum(1), joint.sum(0)
    entropies = _entropy(rows) + _entropy(columns)
    return 2 * (entropies - _entropy(joint.ravel())) / entropies if entropies > 0 else 1.0


def _entropy(p: NDArray[np.float64]) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())
