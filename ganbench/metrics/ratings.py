"""Predicting ratings that were not seen: the recommender's test of a model that reconstructs.

Shapes      M users, I items.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.base import Score, check_events, metric, signature

HIDDEN = 0.2  # share of the known ratings that the model does not see


@metric("rating_rmse", direction="min", asks=("reconstruct",), bounds=(0, None))
def rating_rmse(model: Any, reference: Tensor, train: Tensor, *, rng: torch.Generator) -> Score:
    """Root mean squared error of the model's predictions of hidden ratings of users it was not trained on.

    Rows (M, I) hold what users gave to items, 0 where nothing is known. A fifth of the known ratings, drawn by `rng`,
    is set to 0; the model reconstructs the rows, and is judged on what was hidden alone. `se` treats users as
    independent; `extra` has the error of predicting the training mean of each item. Raises `NotApplicable` for data
    that are no ratings or a model that does not reconstruct.

    Source: Marlin 2004, "Collaborative filtering: a machine learning perspective" (strong generalisation).
    """
    if "reconstruct" not in model.gives:
        raise NotApplicable(f"{model.name} does not reconstruct")
    x = check_events(reference, "reference", at_least=2)
    if reference.ndim != 2 or (x < 0).any() or not (x == 0).any():
        raise NotApplicable("needs rows of ratings: vectors without negative numbers, 0 where a rating is not known")
    hidden = (x > 0) & (torch.rand(x.shape, generator=rng, device=x.device) < HIDDEN)
    if not hidden.any():
        raise BadInput("reference must hold enough ratings to hide some; none was drawn")
    with torch.no_grad():
        guess = model.reconstruct(x.masked_fill(hidden, 0.0)).double()
    counts = (train > 0).sum(0).clamp(min=1)
    value, se = _rmse(guess - x, hidden)
    base, _ = _rmse(train.double().sum(0) / counts - x, hidden)
    text = signature("rating_rmse", f"hidden={HIDDEN}", f"m={len(x)}")
    return Score("rating_rmse", value, len(x), text, "min", se, extra={"of_item_means": base})


def _rmse(error: Tensor, where: Tensor) -> tuple[float, float]:
    """Root mean square of (M, I) over marked entries, and its standard error over rows."""
    square, count = (error.double().square() * where).sum(1), where.sum(1).double()
    mean = float(square.sum() / count.sum())
    residual = float((square - mean * count).std()) * math.sqrt(len(count)) / float(count.sum())
    root = math.sqrt(mean)
    return root, residual / (2 * root) if root > 0 else 0.0
