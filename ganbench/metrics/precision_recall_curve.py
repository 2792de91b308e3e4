"""Precision and recall of distributions as a curve, over histograms of k-means clusters of the features.

Sajjadi et al. 2018 (arXiv:1806.00035): for each slope l, precision sum_k min(l q_k, p_k) and recall, that over l, of
the histograms p of samples and q of reference over clusters of both; the curve is summed up by its largest F_8
(recall) and F_1/8 (precision).
Departures  sets of any two sizes (histograms are shares); exact nearest centres; a standard error.
Shapes      N samples, M reference rows, F features, K clusters, R clusterings, A slopes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.errors import BadConfig
from ganbench.metrics.base import Score, check_sets, metric, signature
from ganbench.ops.clusters import Clusters
from ganbench.ops.pairwise import precision_name

BETA = 8.0


@metric("prd", direction="max", returns=("prd_f8", "prd_f1_8"), degree=0, bounds=(0, 1))
def prd(
    features: Tensor,
    reference_features: Tensor,
    *,
    rng: torch.Generator,
    space: str = "features",
    clusters: int = 20,
    clusterings: int = 10,
    slopes: int = 1001,
) -> list[Score]:
    """Largest F_8, which weighs recall, and F_1/8, which weighs precision, of features (N, F) and (M, F), in [0, 1].

    The curve is the mean over `clusterings` k-means partitions of both sets together. `se` is first order, for the
    clusters as they are: at its best slope F is linear in the curve's point there, whose error is that of a mean over
    rows. It is around the expectation at these sizes, below 1 for equal laws. Raises `BadInput` for sets it cannot use.
    """
    if clusters < 2 or clusterings < 1 or slopes < 3:
        raise BadConfig(
            f"clusters must be at least 2, clusterings 1 and slopes 3; got {clusters}, {clusterings} and {slopes}"
        )
    x, y = check_sets(features=features, reference_features=reference_features, at_least=clusters)
    both = torch.cat([x, y])
    cells = torch.stack([Clusters.of(both, clusters, rng).nearest(both) for _ in range(clusterings)])  # (R, N + M)
    cells_x, cells_y = cells[:, : len(x)], cells[:, len(x) :]
    p, q = histograms(cells_x, clusters), histograms(cells_y, clusters)
    slope = torch.tan(torch.linspace(1e-6, math.pi / 2 - 1e-6, slopes, dtype=torch.float64, device=x.device))
    precision = torch.stack([torch.minimum(l * q, p).sum(1).mean() for l in slope])  # (A,)
    scores = []
    for name, beta in (("prd_f8", BETA), ("prd_f1_8", 1 / BETA)):
        f = precision * (1 + beta**2) / (1 + beta**2 * slope)  # with recall = precision / slope
        best = int(f.argmax())
        weight, l = float(f[best] / precision[best]) if precision[best] > 0 else 0.0, slope[best]
        influence_x = (p < l * q).double().gather(1, cells_x).mean(0)  # where a cell's share of samples is the lesser
        influence_y = l * (l * q < p).double().gather(1, cells_y).mean(0)
        se = weight * (float(influence_x.var()) / len(x) + float(influence_y.var()) / len(y)) ** 0.5
        parts = (f"K={clusters}", f"R={clusterings}", f"n={len(x)}", f"m={len(y)}", space, precision_name(x))
        extra = {"slope": float(l), "precision": float(precision[best]), "recall": float(precision[best] / l)}
        scores.append(Score(name, float(f[best]), len(x), signature(name, *parts), "max", se=se, extra=extra))
    return scores


def histograms(cells: Tensor, k: int) -> Tensor:
    """Shares of each cluster in each clustering: (R, N) -> (R, K)."""
    counts = torch.zeros(len(cells), k, dtype=torch.float64, device=cells.device)
    return counts.scatter_add_(1, cells, torch.ones_like(cells, dtype=torch.float64)) / cells.shape[1]
