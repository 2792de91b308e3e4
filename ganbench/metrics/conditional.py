"""Whether conditional models draw what was asked for: classes and attributes agree, and classes are not one picture.

Source      Ravuri and Vinyals 2019, "Classification Accuracy Score for Conditional Generative Models",
            arXiv:1905.10887; Shmelkov et al. 2018, "How good is my GAN?" (GAN-train and GAN-test, arXiv:1807.09499).
Shapes      N samples, M test events, K classes, F features, A attributes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.base import Direction, Score, check_events, check_probs, check_sets, metric, signature
from ganbench.metrics.frechet import frechet
from ganbench.metrics.mmd import mmd
from ganbench.ops.neighbors import nearest
from ganbench.stats import wilson


@metric("label_agreement", direction="max", bounds=(0, 1))
def label_agreement(probs: Tensor, sample_labels: Tensor, space: str = "probs") -> Score:
    """Share of samples (N, K posteriors) that the scorer takes for the class that was asked for, `sample_labels` (N,).

    A model that ignores the label has the sum of squared class shares, about 1 / K; real events have the scorer's own
    accuracy. Collapse within a class is not noticed: see `class_diversity`. Raises `BadInput` for labels out of step.
    """
    p = check_probs(probs)
    y = check_labels(sample_labels, len(p), p.shape[1], "sample_labels")
    parts = (f"K={p.shape[1]}", f"n={len(p)}", space)
    return share_of((p.argmax(1) == y), "label_agreement", signature("label_agreement", *parts))


@metric("class_diversity", direction="max", degree=0, bounds=(0, None))
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


@metric("class_frechet", direction="min", degree=2, bounds=(0, None))
def class_frechet(
    features: Tensor,
    sample_labels: Tensor,
    reference_features: Tensor,
    test_labels: Tensor,
    *,
    rng: torch.Generator,
    space: str = "features",
) -> Score:
    """Mean over classes of `frechet` of the samples asked to be of a class and the test events of it.

    (N, F), (N,), (M, F), (M,). Raises `NotApplicable` where a class has no more than F rows, of which a covariance says
    little: use `class_mmd`; `BadInput` for labels out of step.
    """

    def distance(x: Tensor, y: Tensor) -> Score:
        if min(len(x), len(y)) <= x.shape[1]:
            raise NotApplicable(
                f"class_frechet needs more rows of every class than the {x.shape[1]} features; got {len(x)} samples "
                f"and {len(y)} test events of one: use class_mmd"
            )
        return frechet(x, y, rng=rng, space=space, extrapolation=0)

    return _by_class("class_frechet", distance, features, sample_labels, reference_features, test_labels, space)


@metric("class_mmd", direction="min", degree=0)
def class_mmd(
    features: Tensor,
    sample_labels: Tensor,
    reference_features: Tensor,
    test_labels: Tensor,
    *,
    rng: torch.Generator,
    space: str = "features",
) -> Score:
    """Mean over classes of the unbiased squared MMD of the samples asked to be of a class and the test events of it.

    (N, F), (N,), (M, F), (M,); a Gaussian kernel as wide as the median distance within each class of the test events,
    which takes few rows a class. Raises `NotApplicable` where no class has two rows on both sides, `BadInput` for
    labels out of step.
    """

    def distance(x: Tensor, y: Tensor) -> Score:
        return mmd(x, y, rng=rng)

    return _by_class("class_mmd", distance, features, sample_labels, reference_features, test_labels, space)


def _by_class(
    name: str,
    distance: Callable[[Tensor, Tensor], Score],
    x: Tensor,
    labels: Tensor,
    y: Tensor,
    truth: Tensor,
    space: str,
) -> Score:
    """The mean of a distance over the classes that both sides hold twice; errors add up as of independent classes."""
    check_sets(features=x, reference_features=y)
    most = int(max(labels.max(), truth.max())) + 1
    ours, real = check_labels(labels, len(x), most, "sample_labels"), check_labels(truth, len(y), most, "test_labels")
    pairs = [(x[ours == k], y[real == k]) for k in range(most)]
    found = [distance(a, b) for a, b in pairs if min(len(a), len(b)) > 1]
    if not found:
        raise NotApplicable("no class has two samples and two test events")
    value = sum(s.value for s in found) / len(found)
    se = math.sqrt(sum((s.se or 0.0) ** 2 for s in found)) / len(found)
    text = signature(name, f"K={len(found)}", f"n={len(x)}", f"m={len(y)}", space)
    return Score(name, value, len(x), text, "min", se, extra={"classes": [round(s.value, 6) for s in found]})


@metric("cas", direction="max", returns=("gan_train", "gan_test"), bounds=(0, 1))
def cas(
    samples: Tensor, sample_labels: Tensor, train: Tensor, train_labels: Tensor, reference: Tensor, test_labels: Tensor
) -> list[Score]:
    """What a classifier makes of samples with the classes asked for, (N, *E), (N,): two shares that are right.

    `gan_train`  learnt from the samples, tested on the test split: low where samples are wrong or too much alike.
    `gan_test`   learnt from the training split, tested on the samples: low where samples are wrong, high for copies.
    The classifier is the nearest neighbour in pixels: it has no settings and forgets nothing. `extra["real"]` is what
    it has from the training split on the test split, the ceiling of both. Raises `BadInput` for labels out of step.
    """
    most = int(max(sample_labels.max(), train_labels.max(), test_labels.max())) + 1
    x, z, y = (check_events(s, name) for s, name in ((samples, "samples"), (train, "train"), (reference, "reference")))
    sets = ((x, sample_labels, "sample_labels"), (z, train_labels, "train_labels"), (y, test_labels, "test_labels"))
    asked, learnt, truth = (check_labels(labels, len(rows), most, name) for rows, labels, name in sets)
    real = float((learnt[nearest(y, z).index[:, 0]] == truth).double().mean())
    scores = []
    for name, right in (
        ("gan_train", asked[nearest(y, x).index[:, 0]] == truth),
        ("gan_test", learnt[nearest(x, z).index[:, 0]] == asked),
    ):
        text = signature(name, "1-nn", "pixels", f"n={len(x)}", f"train={len(z)}", f"m={len(y)}")
        score = share_of(right, name, text)
        scores.append(replace(score, n=len(x), extra={"real": real}))
    return scores


@metric("attribute_agreement", direction="max", asks=("translate",), bounds=(0, 1))
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


def share_of(right: Tensor, name: str, text: str, direction: Direction = "max") -> Score:
    """A share of rows (N,) bool as a score, with Wilson's interval."""
    n, k = len(right), int(right.sum())
    value = k / n
    return Score(name, value, n, text, direction, math.sqrt(value * (1 - value) / n), wilson(k, n))


def check_labels(y: Tensor, n: int, k: int, argument: str) -> Tensor:
    """Labels (n,) as int64, from 0 to k - 1. Raises `BadInput` naming the argument."""
    if y.ndim != 1 or len(y) != n or y.is_floating_point() or y.dtype == torch.bool:
        raise BadInput(f"{argument} must be {n} whole numbers, one a row; got {y.dtype} {tuple(y.shape)}")
    if n and (int(y.min()) < 0 or int(y.max()) >= k):
        raise BadInput(f"{argument} must be from 0 to {k - 1}; got {int(y.min())} to {int(y.max())}")
    return y.long()
