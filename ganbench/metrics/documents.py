"""What vectors of documents know: how alike documents are to people, the order of their words, and their theme.

Shapes      M documents, L places of words, F numbers in a vector, K classes.
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.base import Score, check_events, metric, signature
from ganbench.metrics.conditional import check_labels
from ganbench.metrics.words import unit_rows
from ganbench.stats import wilson

DRAWS = 2000  # of a bootstrap
FOLDS = 5


@metric("document_similarity", direction="max", degree=0, asks=("embed",), bounds=(-1, 1))
def document_similarity(document_vectors: Tensor, document_ratings: Tensor, *, rng: torch.Generator) -> Score:
    """Pearson's correlation of cosines of vectors (M, F) with people's `document_ratings` (M, M), over pairs i < j.

    Source: Lee, Pincombe & Welsh 2005, whose people agree with one another to .605. The interval is of a bootstrap over
    documents, for pairs of one document are not independent. Raises `BadInput` for other shapes or under 3 documents.
    """
    vectors = unit_rows(document_vectors, None, "document_vectors")
    m = len(vectors)
    if document_ratings.shape != (m, m) or m < 3:
        raise BadInput(
            f"document_ratings must be ({m}, {m}), of 3 documents or more; got {tuple(document_ratings.shape)}"
        )
    cosines, judged = (vectors @ vectors.T).numpy(), document_ratings.double().numpy()
    value = _pairs_correlation(cosines, judged, np.ones(m))
    rows = torch.randint(m, (DRAWS, m), generator=rng)
    drawn = [_pairs_correlation(cosines, judged, np.bincount(r, minlength=m)) for r in rows.numpy()]
    spread = [v for v in drawn if math.isfinite(v)]
    low, high = np.quantile(spread, (0.025, 0.975)).tolist() if spread else (math.nan, math.nan)
    text = signature("document_similarity", "pearson", "cosine", f"m={m}", f"bootstrap={DRAWS}")
    return Score("document_similarity", value, m, text, "max", float(np.std(spread)), (low, high))


def _pairs_correlation(a: np.ndarray, b: np.ndarray, times: np.ndarray) -> float:
    """Pearson's correlation of (M, M) tables over pairs of different rows, each as often as `times` (M,) say."""
    weight = np.triu(np.outer(times, times), 1)
    weight = weight / weight.sum()
    a, b = a - (weight * a).sum(), b - (weight * b).sum()
    scale = math.sqrt((weight * a * a).sum() * (weight * b * b).sum())
    return float((weight * a * b).sum() / scale) if scale > 1e-12 else 0.0


@metric("order_test", direction="max", degree=0, asks=("embed",), bounds=(0, 1))
def order_test(document_vectors: Tensor, reference: Tensor) -> Score:
    """Whether vectors (M, F) tell documents apart that hold the same words in another order, `reference` (M, L) words.

    Of each set of words that stands in several orders, half the copies of an order make its centroid and the others go
    to the nearest one; equal distances share the point. 1 knows the order; blind vectors have chance, one half of two
    orders. Raises `BadInput` for sets out of step, `NotApplicable` where no words have two orders of two copies.
    """
    x = check_events(document_vectors, "document_vectors").double()
    if reference.ndim != 2 or len(reference) != len(x) or reference.is_floating_point():
        raise BadInput(f"reference must be {len(x)} rows of words; got {reference.dtype} {tuple(reference.shape)}")
    bags: dict[tuple[int, ...], dict[tuple[int, ...], list[int]]] = defaultdict(lambda: defaultdict(list))
    for row, words in enumerate(reference.tolist()):
        bags[tuple(sorted(words))][tuple(words)].append(row)
    points = []
    chances = []
    for orders in bags.values():
        held = [rows for _, rows in sorted(orders.items()) if len(rows) > 1]
        if len(held) > 1:
            points += _nearest(x, held)
            chances.append(1 / len(held))
    if not points:
        raise NotApplicable("needs documents of the same words in two orders, each twice or more; there are none")
    n, value = len(points), sum(points) / len(points)
    chance = sum(chances) / len(chances)
    text = signature("order_test", "nearest-centroid", f"bags={len(chances)}", f"n={n}")
    se = math.sqrt(value * (1 - value) / n)
    return Score("order_test", value, n, text, "max", se, wilson(sum(points), n), extra={"chance": chance})


def _nearest(x: Tensor, orders: list[list[int]]) -> list[float]:
    """The point of each tested copy: 1 where its own centroid is nearest, a share of it where others are as near."""
    centroids = torch.stack([x[rows[::2]].mean(0) for rows in orders])
    points = []
    for own, rows in enumerate(orders):
        distance = (x[rows[1::2], None] - centroids).norm(dim=2)  # (copies, orders)
        best = distance.amin(1, keepdim=True)
        nearest = distance <= best + 1e-9 * distance.amax()
        points += (nearest[:, own].double() / nearest.sum(1)).tolist()
    return points


@metric("topic_probe", direction="max", degree=0, asks=("embed",), bounds=(0, 1))
def topic_probe(document_vectors: Tensor, test_labels: Tensor, *, rng: torch.Generator) -> Score:
    """Share of documents whose class a linear classifier on their vectors (M, F) finds, by five folds over them.

    The documents were not trained on, and what classifies one has not seen it. Numbers are scaled to unit variance in
    the other folds, then L2 logistic regression. `extra` has the share of the largest class, which knowing nothing
    reaches. Raises `BadInput` for labels out of step, `NotApplicable` for classes of less than five documents.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = check_events(document_vectors, "document_vectors").double().numpy()
    y = check_labels(test_labels, len(x), int(test_labels.max()) + 1, "test_labels")
    counts = torch.bincount(y)
    if int((counts > 0).sum()) < 2 or int(counts[counts > 0].min()) < FOLDS:
        raise NotApplicable(f"needs two classes of {FOLDS} documents or more; they have {counts.tolist()}")
    order = torch.randperm(len(y), generator=rng)
    order = order[torch.sort(y[order], stable=True).indices]
    fold = np.empty(len(y), int)
    fold[order.numpy()] = np.arange(len(y)) % FOLDS  # every class in all folds
    right = 0
    for k in range(FOLDS):
        seen, held = fold != k, fold == k
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(x[seen], y.numpy()[seen])
        right += int((probe.predict(x[held]) == y.numpy()[held]).sum())
    n = len(y)
    text = signature("topic_probe", "logistic", "C=0.1", f"folds={FOLDS}", f"K={int((counts > 0).sum())}", f"n={n}")
    se = math.sqrt(right / n * (1 - right / n) / n)
    majority = int(counts.max()) / n
    return Score("topic_probe", right / n, n, text, "max", se, wilson(right, n), extra={"majority": majority})
