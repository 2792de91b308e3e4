"""Maps of embeddings: vectors of words or documents along the two directions in which they differ most."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganbench.data import Text
from ganbench.pictures.grids import blank

WORDS = 80  # that are drawn
DOCUMENTS = 1000


def words_shown(text: Text) -> list[int]:
    """The words whose likeness or analogies are known, in the order of the vocabulary; else the most frequent ones."""
    asked = [q.flatten() for q in text.analogies.values()] or [r.pairs.flatten() for r in text.ratings.values()]
    known: list[int] = torch.cat(asked).unique().tolist() if asked else list(range(len(text.words)))
    return known[:WORDS]


def project(vectors: Tensor) -> np.ndarray:
    """Principal components of vectors (N, F), brought to length 1: -> (N, 2). The larger side of each points up."""
    x = torch.nn.functional.normalize(vectors.double(), dim=1)
    x = x - x.mean(0)
    u, s, _ = torch.linalg.svd(x, full_matrices=False)
    points = torch.zeros(len(x), 2, dtype=torch.float64)
    k = min(2, len(s))
    points[:, :k] = u[:, :k] * s[:k]
    side = torch.where(points.pow(3).sum(0) < 0, -1.0, 1.0)  # a component has no sign of its own
    return (points * side).numpy()


def word_map(path: Path, vectors: Tensor, text: Text) -> None:
    """Write the words that `words_shown` picks of vectors (V, F), each at its place; analogies as lines."""
    shown = words_shown(text)
    points = project(vectors[shown])
    place = {word: i for i, word in enumerate(shown)}
    figure = blank(7.0, 7.0)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.93))
    for rows in text.analogies.values():
        for a, b in {(int(q[0]), int(q[1])) for q in rows if int(q[0]) in place and int(q[1]) in place}:
            axes.plot(*points[[place[a], place[b]]].T, color="#c6dbef", linewidth=0.8, zorder=1)
    axes.plot(*points.T, ".", color="#d62728", markersize=3, zorder=2)
    for word, (x, y) in zip(shown, points, strict=True):
        axes.annotate(text.words[word], (x, y), (2, 2), textcoords="offset points", fontsize=7, parse_math=False)
    axes.set(xticks=[], yticks=[])
    axes.set_title(f"{len(shown)} words, two principal components of {vectors.shape[1]}", fontsize=9)
    figure.savefig(path)


def document_map(path: Path, vectors: Tensor, labels: Sequence[int] | None) -> None:
    """Write document vectors (M, F) as points, coloured by their classes or numbered where there are few."""
    points = project(vectors[:DOCUMENTS])
    figure = blank(5.5, 5.5)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.92))
    colours = None if labels is None else np.asarray(labels[: len(points)])
    axes.scatter(*points.T, c=colours, cmap="tab10", s=9)
    if colours is None and len(points) <= WORDS:
        for i, (x, y) in enumerate(points):
            axes.annotate(str(i), (x, y), (2, 2), textcoords="offset points", fontsize=7)
    axes.set(xticks=[], yticks=[])
    axes.set_title(f"{len(points)} documents, two principal components of {vectors.shape[1]}", fontsize=9)
    figure.savefig(path)
