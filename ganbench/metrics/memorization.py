"""Memorisation-informed Frechet distance: the distance divided by how far samples are from the training set.

Bai et al. 2021 (arXiv:2106.03062), as Kaggle scored its generative dog images: the mean over samples of the least
cosine distance 1 - |cos| to a training row divides the Frechet distance where it lies below a threshold.
Shapes      N samples, M reference rows, T training rows, F features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.errors import BadConfig, BadInput
from ganbench.metrics.base import Score, check_events, check_pair, check_sets, metric, signature
from ganbench.metrics.frechet import pair_of
from ganbench.ops.pairwise import slices


@metric("mifid", direction="min", degree=2, bounds=(0, None))
def mifid(
    features: Tensor,
    reference_features: Tensor,
    train_features: Tensor,
    *,
    space: str = "features",
    threshold: float = 0.1,
) -> Score:
    """`frechet` of samples (N, F) and reference (M, F) over the mean least cosine distance to the training set (T, F).

    The divisor d is 1 unless it is below `threshold`, so the score is `frechet` itself for samples that keep away from
    the training set. Any extractor's features are taken and the reference need not be the training set, so it is not
    Kaggle's number: the signature says mi_frechet and names the space, and the threshold, made for Inception features,
    says little in others: read `extra["cosine_distance"]` beside the floor's. Rows of zeros have no angle and are left
    out, as there. `se` is first order; it takes the side of the threshold as given.

    Raises `BadInput` for sets it cannot use, or without a row that is not zero.
    """
    if not threshold >= 0:
        raise BadConfig(f"threshold must not be negative; got {threshold}")
    x, y = check_sets(features=features, reference_features=reference_features, at_least=2)
    train = check_events(train_features, "train_features")
    check_pair(features, train_features, "features", "train_features")
    pair = pair_of(x, y)
    kept, least = least_cosine_distances(x, train)
    distance = float(least.mean())
    penalised = distance < threshold
    divisor = max(distance, 1e-14) if penalised else 1.0  # copies of all samples: as good as infinite, but a number
    potential, of_reference = pair.potentials()
    value = pair.distance / divisor
    influence = (potential - potential.mean()) / divisor
    if penalised:
        influence[kept] -= value / divisor * (least - distance) * (len(x) / len(least))
    variance = float(influence.var()) / len(x) + float((of_reference / divisor).var()) / len(y)
    extra = {"frechet": pair.distance, "cosine_distance": distance, "penalised": penalised}
    parts = (f"threshold={threshold:g}", f"n={len(x)}", f"m={len(y)}", f"train={len(train)}", space, "f64")
    return Score("mifid", value, len(x), signature("mi_frechet", *parts), "min", se=variance**0.5, extra=extra)


def least_cosine_distances(x: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """Indices of rows of x that are not zero, and their least 1 - |cos| to a row of train: (K,), (K,) in float64."""
    kept, others = (s.any(1).nonzero().flatten() for s in (x, train))
    if not len(kept) or not len(others):
        raise BadInput("features and train_features must hold a row that is not zero: zero rows have no angle")
    out = torch.empty(len(kept), dtype=torch.float64, device=x.device)
    for i in slices(len(kept), 1024):
        rows = torch.nn.functional.normalize(x[kept[i]].double(), dim=1)
        best = torch.zeros(len(rows), dtype=torch.float64, device=x.device)
        for j in slices(len(others), 4096):
            units = torch.nn.functional.normalize(train[others[j]].double(), dim=1)
            best = torch.maximum(best, (rows @ units.T).abs().amax(1))
        out[i] = (1 - best).clamp(min=0)
    return kept, out
