"""Classes by the nearest neighbour among all training codes: how well a representation keeps classes apart.

Source      Donahue et al. 2017 (BiGAN, arXiv:1605.09782), section 4.1: 1-nearest neighbour in
            feature space, which in the authors' code is the layer below E(x).
Shapes      N train and M test events, F features.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganbench.errors import BadInput
from ganbench.metrics.base import Score, check_events, metric, signature
from ganbench.metrics.semi_supervised import extractor
from ganbench.ops.neighbors import nearest
from ganbench.stats import wilson

BATCH = 1000


@metric("nn_accuracy", direction="max", asks=("encode", "features"), bounds=(0, 1), version=2)
def nn_accuracy(model: Any, train: Tensor, train_labels: Tensor, reference: Tensor, test_labels: Tensor) -> Score:
    """Share of the test set (M, *E) whose nearest training example (N, *E) is of its class, with Wilson's interval.

    Nearest in Euclidean distance of `model.representation` as it is, exactly: the layers that the model's paper names
    for this, else its codes, else its features. Every training label is used, which is what sets it apart from scores
    of few labels.

    Raises `NotApplicable` for a model with neither, `BadInput` for labels out of step or codes that are not finite.
    """
    extractor(model)  # raises where there is nothing to look at
    for name, y, n in (("train_labels", train_labels, len(train)), ("test_labels", test_labels, len(reference))):
        if y.shape != (n,) or y.is_floating_point():
            raise BadInput(f"{name} must be {n} integer class labels; got {y.dtype} {tuple(y.shape)}")
    found = nearest(_batched(model.representation, reference), _batched(model.representation, train)).index[:, 0]
    right, m = int((train_labels.cpu()[found] == test_labels.cpu()).sum()), len(reference)
    value = right / m
    return Score(
        "nn_accuracy",
        value,
        m,
        signature("nn_accuracy", "k=1", "euclidean", f"train={len(train)}", f"m={m}", version=2),
        "max",
        math.sqrt(value * (1 - value) / m),
        wilson(right, m),
        extra={"errors_per_10000": 1e4 * (1 - value)},
    )


@torch.no_grad()
def _batched(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    codes = torch.cat([function(part).flatten(1).cpu() for part in x.split(BATCH)])
    return check_events(codes, "the model's codes")
