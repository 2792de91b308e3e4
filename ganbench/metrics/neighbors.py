"""Metrics that ask for nearest neighbours: precision, recall, density, coverage, the 1-NN test and authenticity.

All distances are Euclidean; comparisons are decided in float64, so exact copies tie exactly.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.errors import BadConfig
from ganbench.metrics.base import Score, check_events, check_pair, check_sets, metric, signature
from ganbench.ops.balls import balls
from ganbench.ops.neighbors import nearest, nearest_both
from ganbench.ops.pairwise import precision_name
from ganbench.stats import half_width, wilson

LEAST_ROWS = 100  # fewer tell nothing about how much rows share
MOST_BLOCKS = 13  # the fewer, the nearer are blocks to the whole; of 13 two divisions have freedom enough
FREEDOM = 24  # degrees of freedom of a design effect, at least


@metric(
    "prdc",
    direction="max",
    returns=("precision", "recall", "density", "coverage", "f1"),
    degree=0,
    bounds={"precision": (0, 1), "recall": (0, 1), "density": (0, None), "coverage": (0, 1), "f1": (0, 1)},
)
def prdc(
    features: Tensor,
    reference_features: Tensor,
    *,
    rng: torch.Generator,
    space: str = "features",
    k: int = 3,
    k_density: int = 5,
) -> list[Score]:
    """Precision, recall (Kynkaanniemi et al. 2019, k = 3), density, coverage (Naeem et al. 2020, k = 5), and F1.

    A ball around a row reaches its k-th nearest other row of its own set. Precision: share of samples in the ball of
    some reference row; recall: share of reference rows in the ball of some sample; both balls hold their boundary (<=),
    as published. Density: balls of reference rows that hold a sample, over k; coverage: share of reference balls that
    hold a sample; these balls do not hold their boundary (<), as published. So where all rows are one point, precision
    and recall are 1, density and coverage 0. F1 is the harmonic mean of precision and recall, 0 where both are 0.

    `se`: each score is a mean over rows, and its variance that of independent rows times a design effect, for rows
    share balls, which are drawn too. A row shares with a few neighbours, so the effect hardly moves with the number of
    rows, while the variance of a row does: the first is measured between disjoint random blocks of both sets, the
    second on the whole. The interval is Wilson's with the rows divided by the effect, Student's for density and F1.
    Both are around the expected score at these sizes, which is not yet that of infinite sets. Below 100 rows there are
    none.
    Raises `BadInput` for fewer than k + 2 rows.
    """
    if k < 1 or k_density < 1:
        raise BadConfig(f"k and k_density must be at least 1; got {k} and {k_density}")
    rows = max(k, k_density) + 2
    y, x = check_sets(features=features, reference_features=reference_features, at_least=rows)
    values, variances = _prdc(x, y, k, k_density)
    effects, freedom = _design_effects(x, y, k, k_density, rng)
    scores = []
    for i, (name, radius, points) in enumerate(
        (("precision", k, y), ("recall", k, x), ("density", k_density, y), ("coverage", k_density, x), ("f1", k, y))
    ):
        text = signature(name, f"k={radius}", f"n={len(y)}", f"m={len(x)}", space, "f64")
        value, se, interval, extra = float(values[i]), None, None, {}
        if effects is not None:
            effect = float(effects[i])
            se = (effect * float(variances[i])) ** 0.5
            half = half_width(se, freedom)
            effective = len(points) / effect
            if name in ("density", "f1"):
                interval = max(value - half, 0.0), value + half if name == "density" else min(value + half, 1.0)
            else:
                interval = wilson(value * effective, effective)
            extra = {"design_effect": effect}
        scores.append(Score(name, value, len(y), text, "max", se=se, interval=interval, extra=extra))
    return scores


def _prdc(x: Tensor, y: Tensor, k: int, k_open: int) -> tuple[Tensor, Tensor]:
    """The five values for reference x and samples y, and their variances if rows were independent: (5,), (5,)."""
    near_x, near_y = nearest(x, k=max(k, k_open)).squares, nearest(y, k=k).squares
    found = balls(x, y, near_x[:, k - 1], near_y[:, k - 1], near_x[:, k_open - 1])
    shares = (found.y_covered, found.x_covered, found.holding.double() / k_open, found.held > 0)
    rows = [share.double() for share in shares]
    values, variances = [row.mean() for row in rows], [row.var() / len(row) for row in rows]
    p, r = values[:2]
    both = (p + r).clamp(min=1 / (len(x) + len(y)))  # 0 where both are
    slopes = 2 * (r / both).square(), 2 * (p / both).square()  # of 2 p r / (p + r)
    values.append(2 * p * r / both)
    variances.append(slopes[0].square() * variances[0] + slopes[1].square() * variances[1])
    return torch.stack(values), torch.stack(variances)


def _design_effects(x: Tensor, y: Tensor, k: int, k_open: int, rng: torch.Generator) -> tuple[Tensor | None, int]:
    """Variances of the scores (5,) over those of independent rows, at least 1, and the degrees of freedom behind them.

    A ratio of sums over several divisions into blocks; none where a block would hold too few rows for its balls.
    """
    smaller = min(len(x), len(y))
    if smaller < max(LEAST_ROWS, 8 * (max(k, k_open) + 1)):
        return None, 0
    blocks = min(MOST_BLOCKS, max(2, smaller // LEAST_ROWS))
    divisions = math.ceil(FREEDOM / (blocks - 1))
    between, within = x.new_zeros(2, 5, dtype=torch.float64)
    for _ in range(divisions):
        parts = zip(_parts(x, blocks, rng), _parts(y, blocks, rng), strict=True)
        values, variances = zip(*(_prdc(a, b, k, k_open) for a, b in parts), strict=True)
        between += torch.stack(values).var(0)
        within += torch.stack(variances).mean(0)
    effects = torch.where(within > 0, between / within, 1.0).clamp(min=1)
    return effects, divisions * (blocks - 1)


def _parts(x: Tensor, blocks: int, rng: torch.Generator) -> list[Tensor]:
    order = torch.randperm(len(x), generator=rng, device=rng.device).to(x.device)
    return [x[part] for part in order.tensor_split(blocks)]


@metric("nn_two_sample", direction="floor", degree=0, bounds=(0, 1))
def nn_two_sample(features: Tensor, reference_features: Tensor, *, space: str = "features") -> Score:
    """Leave-one-out accuracy of a 1-nearest-neighbour classifier on the pooled sets (Lopez-Paz and Oquab 2017).

    One half is ideal (for equal sizes), 1 means the sets are separate, below one half means samples copy the reference.
    The accuracies on either set are in `extra`: high on the reference and low on the samples is mode collapse. A tie
    between the nearest of either set counts one half. `se` counts mutual neighbours, which are right or wrong together.
    `extra["expected"]` is the accuracy under equal laws.
    """
    x, y = check_sets(features=features, reference_features=reference_features, at_least=2)
    n, m = len(x), len(y)
    within_x, within_y = nearest(x), nearest(y)
    to_y, to_x = nearest_both(x, y)
    right_x = _right(within_x.squares[:, 0], to_y.squares[:, 0])
    right_y = _right(within_y.squares[:, 0], to_x.squares[:, 0])
    neighbor_x = torch.where(right_x > 0.5, within_x.index[:, 0], to_y.index[:, 0] + n)
    neighbor_y = torch.where(right_y > 0.5, within_y.index[:, 0] + n, to_x.index[:, 0])
    right, neighbor = torch.cat([right_x, right_y]), torch.cat([neighbor_x, neighbor_y])
    mutual = neighbor[neighbor] == torch.arange(n + m, device=x.device)
    value = float(right.mean())
    se = float(((right - value).square() * (1 + mutual.double())).sum()) ** 0.5 / (n + m)
    expected = (n * (n - 1) + m * (m - 1)) / ((n + m) * (n + m - 1))
    extra = {"samples": float(right_x.mean()), "reference": float(right_y.mean()), "expected": expected}
    text = signature("nn_two_sample", f"n={n}", f"m={m}", space, "f64")
    return Score("nn_two_sample", value, n, text, "floor", se=se, extra=extra)


def _right(own: Tensor, other: Tensor) -> Tensor:
    """1 where the own set is nearer, one half in a tie."""
    return (own < other).double() + 0.5 * (own == other).double()


@metric("authenticity", direction="floor", degree=0, bounds=(0, 1))
def authenticity(features: Tensor, train_features: Tensor, *, space: str = "features") -> Score:
    """Share of samples farther from their nearest training row than that is from its own nearest (Alaa et al. 2022).

    Copies are not authentic, nor are ties. Fresh draws of the training law score what dimension and law make of it (of
    a Gaussian .33 in one dimension, .46 in 4, .70 in 16, .87 in 256), so the floor, real events in place of samples, is
    the value to be near: well below it the model reproduces its training set, above it samples lie off the data. Of the
    verdict on memorisation see `ct`, which has a null law. `interval` is Wilson's, over samples, for this training set.
    """
    x = check_events(features, "features")
    train = check_events(train_features, "train_features", at_least=2)
    check_pair(features, train_features, "features", "train_features")
    to_train = nearest(x, train)
    squares, (hit, back) = to_train.squares[:, 0], to_train.index[:, 0].unique(return_inverse=True)
    # Of a training row's two nearest training rows one is itself, at distance zero.
    authentic = squares > nearest(train[hit], train, k=2).squares[back, 1]
    value = float(authentic.double().mean())
    extra = {"exact_copies": int((squares == 0).sum())}
    text = signature("authenticity", f"n={len(x)}", f"train={len(train)}", space, precision_name(train))
    interval = wilson(float(authentic.sum()), len(x))
    return Score("authenticity", value, len(x), text, "floor", interval=interval, extra=extra)
