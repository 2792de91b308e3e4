"""Realism: how deep single samples lie in the manifold of real features.

Kynkaanniemi et al. 2019 (arXiv:1904.06991), equation 3: the largest ratio, over reference rows, of the radius of a
row's k-nearest-neighbour ball to the sample's distance from it; of the balls the larger half is left out.
Shapes      N samples, M reference rows, F features.
"""

from __future__ import annotations

import math

import torch
from scipy.stats import binom
from torch import Tensor

from ganbench.errors import BadConfig, BadInput
from ganbench.metrics.base import Score, check_events, check_pair, metric, signature
from ganbench.ops.neighbors import nearest, pair_squares
from ganbench.ops.pairwise import tiles

CANDIDATES = 4  # balls a sample that look deepest, whose ratio is measured again directly


@metric("realism", direction="max", degree=0, bounds=(0, None))
def realism(features: Tensor, reference_features: Tensor, *, space: str = "features", k: int = 3) -> Score:
    """Median realism of samples (N, F) among reference rows (M, F): above 1 a sample lies in one of the kept balls.

    The median, since copies of reference rows have an infinite one. `interval` is that of order statistics, for this
    reference. `extra` holds the share of samples above 1 and the least realistic samples by index.

    Raises `BadInput` for fewer than k + 2 reference rows, and when most samples are copies of reference rows.
    """
    if k < 1:
        raise BadConfig(f"k must be at least 1; got {k}")
    x = check_events(features, "features", at_least=2)
    y = check_events(reference_features, "reference_features", at_least=k + 2)
    check_pair(features, reference_features, "features", "reference_features")
    values = ratios(x, y, k)
    n, order = len(x), values.sort().values
    value = float(order[(n - 1) // 2] + order[n // 2]) / 2
    if not math.isfinite(value):
        raise BadInput("features must not be copies of reference rows; most are, and their realism is infinite")
    low, high = int(binom.ppf(0.025, n, 0.5)), int(binom.ppf(0.975, n, 0.5))
    top = float(order[min(high, n - 1)])
    interval = (float(order[max(low - 1, 0)]), top) if math.isfinite(top) else None
    extra = {"share_above_1": float((values >= 1).double().mean()), "least_realistic": values.argsort()[:20].tolist()}
    text = signature("realism", f"k={k}", f"n={n}", f"m={len(y)}", space, "f64")
    return Score("realism", value, n, text, "max", interval=interval, extra=extra)


def ratios(x: Tensor, y: Tensor, k: int) -> Tensor:
    """The realism of each row: (N, F), (M, F) -> (N,) in float64; infinite for copies of rows of y."""
    radii = nearest(y, k=k).squares[:, -1]
    small = radii <= radii.median()
    kept, radii = y[small], radii[small]
    width = min(CANDIDATES, len(kept))
    best, index = x.new_full((len(x), width), -math.inf), torch.zeros(len(x), width, dtype=torch.long, device=x.device)
    for i, j, tile in tiles(x, kept):
        ratio = radii[j].to(x.dtype) / tile.clamp_(min=torch.finfo(x.dtype).tiny)
        found = torch.cat([best[i], ratio], 1).topk(width, dim=1)
        columns = torch.arange(j.start, j.stop, device=x.device).expand(len(tile), -1)
        best[i], index[i] = found.values, torch.cat([index[i], columns], 1).gather(1, found.indices)
    row = torch.arange(len(x), device=x.device).repeat_interleave(width)
    squares = pair_squares(x, kept, row, index.flatten()).view(len(x), width)
    ratio = torch.where(squares > 0, radii[index] / squares, math.inf)
    return ratio.amax(1).sqrt()
