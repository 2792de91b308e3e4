"""Whether conditional models draw what was asked for: classes and attributes agree, and classes are not one picture.

Shapes      N samples, M test events, K classes, F features, A attributes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.base import Score, check_events, check_probs, metric, signature
from ganbench.stats import wilson


@metric("label_agreement", direction="max", needs=("probs", "sample_labels", "space"))
def label_agreement(probs: Tensor, sample_labels: Tensor, space: str = "probs") -> Score:
    """Share of samples (N, K posteriors) that the scorer takes for the class that was asked for, `sample_labels` (N,).

    A model that ignores the label has the sum of squared class shares, about 1 / K; real events have the scorer's own
    accuracy. Collapse within a class is not noticed: see `class_diversity`. Raises `BadInput` for labels out of step.
    """
    p = check_probs(probs)
    y = check_labels(sample_labels, len(p), p.shape[1], "sample_labels")
    parts = (f"K={p.shape[1]}", f"n={len(p)}", space)
    return share_of((p.argmax(1) == y), "label_agreement", signature("label_agreement", *parts))


@metric(
    "class_diversity", direction="max", degree=0,
    needs=("features", "sample_labels", "reference_features", "test_labels", "space"),
)  # fmt: skip
def class_diversity(
    features: Tensor, sample_labels: Tensor, reference_features: Tensor, test_labels: Tensor, space: str = "features"
) -> Score:
    """Mean distance of two samples of one class over that of two test events of it: (N, F), (N,), (M, F), (M,).

    Root mean squares, averaged over the classes that both sides hold twice: 1 as diverse as the data, 0 one picture a
    class. A model that ignores the label comes out above 1: read it beside `label_agreement`. Raises `BadInput` for
    labels out of step, `NotApplicable` where no class is held twice.
    """
    x, y = check_events(features, "features"), check_events(reference_features, "reference_features")
    most = int(max(sample_labels.max(), test_labels.max())) + 1
    labels = check_labels(sample_labels, len(x), most, "sample_labels")
    truth = check_labels(test_labels, len(y), most, "test_labels")
    ratios = []
    for k in range(most):
        ours, real = x[labels == k].double(), y[truth == k].double()
        if len(ours) > 1 and len(real) > 1 and float(real.var(0).sum()) > 0:
            ratios.append(float(ours.var(0).sum() / real.var(0).sum()) ** 0.5)
    if not ratios:
        raise NotApplicable("no class has two samples and two different test events")
    value = sum(ratios) / len(ratios)
    se = float(torch.tensor(ratios, dtype=torch.float64).std()) / math.sqrt(len(ratios)) if len(ratios) > 1 else None
    text = signature("class_diversity", "rms", f"K={len(ratios)}", f"n={len(x)}", f"m={len(y)}", space)
    return Score("class_diversity", value, len(x), text, "max", se, extra={"classes": [round(r, 6) for r in ratios]})


@metric("attribute_agreement", direction="max", needs=("measured", "wanted"), asks=("translate",))
def attribute_agreement(measured: Tensor, wanted: Tensor) -> Score:
    """Share of the asked-for attributes `wanted` (N, A), -1 where one is free, that are `measured` (N, A) in pixels.

    The error is over pictures. Real pictures have the accuracy of the measurement. Raises `BadInput` for other shapes.
    """
    if measured.shape != wanted.shape or wanted.ndim != 2 or not bool((wanted >= 0).any()):
        raise BadInput(
            f"measured and wanted must be of one shape (N, A), with something asked for; got {tuple(measured.shape)} "
            f"and {tuple(wanted.shape)}"
        )
    asked = wanted >= 0
    right = (measured == wanted) & asked
    rows = asked.any(1)
    shares = right[rows].sum(1).double() / asked[rows].sum(1)
    each = (right.sum(0).double() / asked.sum(0).clamp_min(1)).tolist()
    n = len(shares)
    se = float(shares.std()) / math.sqrt(n) if n > 1 else None
    text = signature("attribute_agreement", f"A={wanted.shape[1]}", f"n={n}", "pixels")
    return Score("attribute_agreement", float(shares.mean()), n, text, "max", se, extra={"attributes": each})


def share_of(right: Tensor, name: str, text: str) -> Score:
    """A share of rows (N,) bool as a score, with Wilson's interval."""
    n, k = len(right), int(right.sum())
    value = k / n
    return Score(name, value, n, text, "max", math.sqrt(value * (1 - value) / n), wilson(k, n))


def check_labels(y: Tensor, n: int, k: int, argument: str) -> Tensor:
    """Labels (n,) as int64, from 0 to k - 1. Raises `BadInput` naming the argument."""
    if y.ndim != 1 or len(y) != n or y.is_floating_point() or y.dtype == torch.bool:
        raise BadInput(f"{argument} must be {n} whole numbers, one a row; got {y.dtype} {tuple(y.shape)}")
    if n and (int(y.min()) < 0 or int(y.max()) >= k):
        raise BadInput(f"{argument} must be from 0 to {k - 1}; got {int(y.min())} to {int(y.max())}")
    return y.long()
