"""Accuracy from few labels: a simple classifier on a model's frozen features, and a model's own classifier head.

The protocol of DCGAN (arXiv:1511.06434) and ALI (arXiv:1606.00704), with what they leave open decided: labelled sets
are drawn class-balanced, the regularisation is chosen on the labelled data alone, and the test set is read once.

Shapes      N train and M test events, L labelled, F features, K classes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.base import Score, check_events, metric, signature
from ganbench.stats import half_width, wilson

Classifier = Literal["logistic", "svm", "nearest"]
Array = NDArray[Any]
FOLDS = 3
STRENGTHS = {  # scikit-learn's C, inverse weight of the L2 penalty
    "logistic": (1e-3, 1e-2, 1e-1, 1.0, 10.0),
    "svm": (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
}


@metric("semi_supervised_accuracy", direction="max", asks=("encode", "features"), version=2, bounds=(0, 1))
def semi_supervised_accuracy(
    model: Any,
    train: Tensor,
    train_labels: Tensor,
    reference: Tensor,
    test_labels: Tensor,
    *,
    rng: torch.Generator,
    labels: int = 100,
    draws: int = 10,
    classifier: Classifier = "logistic",
) -> Score:
    """Test accuracy of a linear classifier trained on `labels` labelled examples of frozen features.

    Features are `model.encode` where the model encodes, else `model.features`, standardised by the whole (unlabelled)
    training set. Each of the `draws` labelled sets holds labels / K examples of every class; C is chosen by three folds
    of it, then the classifier is refitted on all of it. `value` is the mean over draws, `se` and `interval` (Student's
    t) are over draws: the test set is the same in all. `extra` prints the errors per 10,000 as the literature does.

    Raises `NotApplicable` for a model without features, `BadInput` for labels out of step, missing or too few.
    """
    kind, extract = extractor(model)
    x, mean, std = _standardise(_batched(extract, train))
    test = (_batched(extract, reference) - mean) / std
    return accuracy_of_features(
        x, train_labels, test, test_labels, rng=rng, labels=labels, draws=draws, classifier=classifier, space=kind
    )


@metric(
    "classification_error",
    direction="min",
    returns=("classification_error", "classification_error_last"),
    asks=("classify",),
    bounds=(0, 1),
    by_labels="seen",
)
def classification_error(model: Any, reference: Tensor, test_labels: Tensor) -> list[Score]:
    """Share of the test set (M, *E) that the model's own classifier gets wrong, with Wilson's interval.

    `classification_error_last` is that of the last iterate, where `classify` averages weights. `extra` prints the
    errors per 10,000 as the literature does. Raises `NotApplicable` for a model that does not classify.
    """
    if "classify" not in model.gives:
        raise NotApplicable(f"{model.name} has no classifier")
    truth = _labels(test_labels, len(reference), "test_labels")
    scores = [_head_error("classification_error", _batched(model.classify, reference), truth)]
    if hasattr(model, "classify_last"):
        scores.append(_head_error("classification_error_last", _batched(model.classify_last, reference), truth))
    return scores


@metric("svm_error", direction="min", asks=("encode", "features"), bounds=(0, 1), by_labels="frozen")
def svm_error(
    model: Any,
    train: Tensor,
    train_labels: Tensor,
    reference: Tensor,
    test_labels: Tensor,
    label_draws: Mapping[int, Tensor],
) -> list[Score]:
    """Share of the test set (M, *E) that an L2-SVM on the frozen model gets wrong: one score for each number of labels.

    The SVM is fitted to `model.representation` of the events in `label_draws`, standardised by the whole (unlabelled)
    training set (N, *E); C is chosen by three folds of the labelled events. `svm_error_100` is that of 100 labels. The
    labels are those a few-label classifier of the same seed is trained on, one draw a seed, so that both stand in one
    table: the spread over seeds is that over draws and trainings. `interval` is Wilson's, over the test set.

    Raises `NotApplicable` for a model without features, or one that was trained with all labels; `BadInput` for fewer
    than two labels of every class.
    """
    if not {"encode", "features"} & set(model.gives):
        raise NotApplicable(f"{model.name} neither encodes nor has features, so there is nothing to classify on")
    if "y" in model.needs:
        raise NotApplicable(f"{model.name} was trained with all labels: its features say nothing of few")
    y = _labels(train_labels, len(train), "train_labels")
    truth = _labels(test_labels, len(reference), "test_labels")
    mean, std = _moments(model.representation, train)
    test = (_batched(model.representation, reference) - mean) / std
    scores = []
    for count, rows in sorted(label_draws.items()):
        x = (_batched(model.representation, train[rows]) - mean) / std
        predicted, strength = fit_svm(x, y[rows.numpy()], test)
        score = error_score(f"svm_error_{count}", predicted, truth, int(max(y.max(), truth.max())) + 1)
        scores.append(replace(score, extra=score.extra | {"labels": count, "C": strength, "n_features": test.shape[1]}))
    return scores


def fit_svm(x: Array, y: Array, test: Array) -> tuple[Array, float | None]:
    """Classes (M,) that an L2-SVM fitted to (L, F), (L,) predicts for (M, F), and its C. Raises `BadInput`."""
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    classes, y, sizes = np.unique(y, return_inverse=True, return_counts=True)
    if sizes.min() < 2:
        raise BadInput(f"C is chosen on the labelled data, which takes two of every class; got {len(y)} labels")
    if x.shape[1] > len(x):  # an L2 penalty keeps the weights in the span of the examples, so nothing is lost
        basis = np.linalg.qr(x.T)[0]  # (F, L)
        x, test = x @ basis, test @ basis
    # Folds go by position and must hold every class: the n-th example of each class stands before any (n+1)-th.
    rank = np.empty(len(y), int)
    for c in range(len(classes)):
        rank[y == c] = np.arange(sizes[c])
    order = np.lexsort((y, rank))
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit, strength = _choose(x[order], y[order], "svm")
    return classes[fit.predict(test)], strength


def _head_error(name: str, logits: Array, truth: Array) -> Score:
    return error_score(name, logits.argmax(1), truth, logits.shape[1])


def error_score(name: str, predicted: Array, truth: Array, k: int) -> Score:
    """The share of wrong predictions (M,) among K classes; whoever predicts, the signature is the same."""
    if truth.max() >= k:
        raise BadInput(f"test_labels must be below the {k} classes of the classifier; got {int(truth.max())}")
    wrong, m = int((predicted != truth).sum()), len(truth)
    value = wrong / m
    extra = {"errors_per_10000": 1e4 * value, "confusion": _confusion(truth, predicted, k)}
    text = signature("classification", f"K={k}", f"m={m}")
    return Score(name, value, m, text, "min", math.sqrt(value * (1 - value) / m), wilson(wrong, m), extra=extra)


def accuracy_of_features(
    train: Array,
    train_labels: Tensor,
    test: Array,
    test_labels: Tensor,
    *,
    rng: torch.Generator,
    labels: int = 100,
    draws: int = 10,
    classifier: Classifier = "logistic",
    space: str = "features",
) -> Score:
    """The protocol on features that are already here: (N, F), (N,), (M, F), (M,)."""
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    y = _labels(train_labels, len(train), "train_labels")
    truth = _labels(test_labels, len(test), "test_labels")
    classes, y = np.unique(y, return_inverse=True)
    k = len(classes)
    if labels % k or labels < 2 * k:
        raise BadInput(f"labels must be a multiple of the {k} classes and at least {2 * k}; got {labels}")
    if np.bincount(y).min() < labels // k:
        raise BadInput(
            f"labels={labels} asks for {labels // k} examples a class; the rarest has {np.bincount(y).min()}"
        )
    if classifier not in ("logistic", "svm", "nearest"):
        raise BadInput(f"classifier must be 'logistic', 'svm' or 'nearest'; got {classifier!r}")
    if draws < 2:
        raise BadInput(f"draws must be at least 2, for an interval; got {draws}")
    accuracies, strengths = [], []
    with threadpool_limits(1), warnings.catch_warnings():  # problems this small only lose by more threads
        warnings.simplefilter("ignore", ConvergenceWarning)  # the choice of C is what matters, not the last digit
        for _ in range(draws):
            chosen = balanced_draw(torch.from_numpy(y), labels, rng).numpy()
            fit, strength = _choose(train[chosen], y[chosen], classifier)
            accuracies.append(float((classes[fit.predict(test)] == truth).mean()))
            strengths.append(strength)
    mean, se = float(np.mean(accuracies)), float(np.std(accuracies, ddof=1)) / math.sqrt(draws)
    half = half_width(se, draws - 1)
    extra = {
        "accuracies": accuracies,
        "errors_per_10000": 1e4 * (1 - mean),
        "errors_per_10000_std": 1e4 * float(np.std(accuracies, ddof=1)),
        "C": strengths,
        "n_features": train.shape[1],
        "n_test": len(test),
    }
    text = signature("ssl", classifier, f"labels={labels}", f"draws={draws}", f"m={len(test)}", space, version=2)
    interval = (max(0.0, mean - half), min(1.0, mean + half))
    return Score("semi_supervised_accuracy", mean, len(test), text, "max", se, interval, extra=extra)


def balanced_draw(y: Tensor, labels: int, rng: torch.Generator) -> Tensor:
    """Indices (labels,) of a random set with equally many of every class, classes interleaved."""
    order = torch.randperm(len(y), generator=rng, device=rng.device).cpu()
    k = int(y.max()) + 1
    return torch.stack([order[y[order] == c][: labels // k] for c in range(k)], 1).flatten()


def _choose(x: Array, y: Array, classifier: Classifier) -> tuple[Any, float | None]:
    """A classifier fitted on all labelled data, its C chosen by three folds of it (balanced, as the draw is)."""
    if classifier == "nearest":
        from sklearn.neighbors import KNeighborsClassifier

        return KNeighborsClassifier(1).fit(x, y), None
    k = int(y.max()) + 1
    fold = np.arange(len(y)) // k % FOLDS  # the draw interleaves classes, so every fold holds each of them
    strengths = STRENGTHS[classifier]
    right = np.zeros(len(strengths))
    for i, strength in enumerate(strengths):
        for f in range(min(FOLDS, len(y) // k)):
            fit = _linear(classifier, strength).fit(x[fold != f], y[fold != f])
            right[i] += (fit.predict(x[fold == f]) == y[fold == f]).sum()
    best = strengths[int(right.argmax())]  # ties go to the stronger penalty
    return _linear(classifier, best).fit(x, y), best


def _linear(classifier: Classifier, strength: float) -> Any:
    if classifier == "svm":
        from sklearn.svm import LinearSVC

        return LinearSVC(C=strength, tol=1e-3, random_state=0)  # squared hinge and L2, as liblinear's default
    from sklearn.linear_model import LogisticRegression

    # At 1e-3 half-fitted classifiers decide which C wins (.8954 on digits for .8914); below 1e-5 nothing moves.
    return LogisticRegression(C=strength, tol=1e-6, max_iter=5000)


def extractor(model: Any) -> tuple[str, Callable[[Tensor], Tensor]]:
    """Where features come from: codes if the model encodes, else its discriminator's hidden layer."""
    if "encode" in model.gives:
        return "encode", model.encode
    if "features" in model.gives:
        return "features", model.features
    raise NotApplicable(f"{model.name} neither encodes nor has features, so there is nothing to classify on")


@torch.no_grad()
def _batched(function: Callable[[Tensor], Tensor], x: Tensor, size: int = 1024) -> Array:
    """The function over x in batches, flattened, as float64 (N, F) on the CPU."""
    out = torch.cat([function(x[i : i + size]).flatten(1).cpu() for i in range(0, len(x), size)])
    return check_events(out, "the model's features").double().numpy()


@torch.no_grad()
def _moments(function: Callable[[Tensor], Tensor], x: Tensor, size: int = 1024) -> tuple[Array, Array]:
    """Mean and standard deviation (F,) of the function over x, batch by batch: (N, F) would not always fit."""
    total = square = torch.zeros(())
    for i in range(0, len(x), size):
        f = function(x[i : i + size]).flatten(1).cpu().double()
        total, square = total + f.sum(0), square + f.square().sum(0)
    mean = total / len(x)
    std = (square / len(x) - mean.square()).clamp_min(0).sqrt()
    std[std <= 1e-7 * mean.abs()] = (
        math.inf
    )  # constant features become zero; a difference of squares keeps half the digits
    return mean.numpy(), std.numpy()


def _standardise(x: Array) -> tuple[Array, Array, Array]:
    """Zero mean and unit variance per feature; constant features become zero."""
    mean, std = x.mean(0), x.std(0)
    std[std <= 1e-12 * np.abs(mean)] = math.inf  # constant but for rounding, whatever the unit: these become zero
    return (x - mean) / std, mean, std


def _labels(y: Tensor, n: int, name: str) -> Array:
    if y is None or y.shape != (n,) or y.is_floating_point():
        raise BadInput(
            f"{name} must be {n} integer class labels; got {'none' if y is None else (tuple(y.shape), y.dtype)}"
        )
    return y.cpu().numpy()


def _confusion(truth: Array, predicted: Array, k: int) -> list[list[int]]:
    """Rows are true classes, columns predicted ones."""
    table: list[list[int]] = np.bincount(truth * k + predicted, minlength=k * k).reshape(k, k).tolist()
    return table
