"""Documents and ratings with a known structure behind them, for topic models and for factorisations that predict.

Events are rows of whole numbers: how often each word stands in a document, or what a user gave each item, 0 where the
user gave nothing. Drawn once and for all, from uniforms in float64 that are the same on every processor.

Shapes      N rows, V words or items, K topics or tastes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganbench import seeding
from ganbench.data import Split
from ganbench.datasets.base import Dataset, Source, assemble, dataset

VERSION = 1
SIZES = {"train": 1000, "holdout": 500, "test": 500}
SIDE = 5  # words lie on a square of this side
WORDS = 100  # of a document
CONCENTRATION = 0.1  # of a document's shares of topics
ITEMS, TASTES = 40, 4
KNOWN = 0.5  # share of items a user has rated


@dataset("topics", event="vector", builtin=True)
def topics(source: Source) -> Dataset:
    """Word counts of documents over 25 words from 10 known topics: the rows and columns of a 5x5 square.

    Source: Griffiths & Steyvers 2004, "Finding scientific topics", figure 1. A document has 100 words; its shares of
    the topics are drawn from the Dirichlet law with all parameters 0.1: most documents are about one or two of them.
    """
    from scipy.special import gammaincinv

    words = bars()

    def draw(n: int, rng: torch.Generator) -> Tensor:
        gammas = gammaincinv(CONCENTRATION, _uniform((n, len(words)), rng).numpy())
        shares = torch.from_numpy(gammas).clamp(min=1e-300)
        law = (shares / shares.sum(1, keepdim=True)) @ words  # (N, V)
        place = torch.searchsorted(law.cumsum(1), _uniform((n, WORDS), rng)).clamp(max=words.shape[1] - 1)
        return torch.zeros(n, words.shape[1]).scatter_add_(1, place, torch.ones(n, WORDS))

    return _drawn("topics", draw)


@dataset("ratings", event="vector", builtin=True)
def ratings(source: Source) -> Dataset:
    """Ratings from 1 to 5 of 40 items by users with shares of 4 tastes; half are known, 0 stands for the others.

    Every taste likes an item between 1 and 5; a user's rating is the mean over tastes, moved by up to 0.5 either way
    and rounded, so that no prediction has an error below about 0.4.
    """
    likings = 1 + 4 * _uniform((TASTES, ITEMS), seeding.stream("data", "ratings", f"v{VERSION}", "tastes"))

    def draw(n: int, rng: torch.Generator) -> Tensor:
        shares = -torch.log(_uniform((n, TASTES), rng))
        shares = (shares / shares.sum(1, keepdim=True)).square()  # few users are a bit of everything
        mean = shares / shares.sum(1, keepdim=True) @ likings
        given = (mean + _uniform((n, ITEMS), rng) - 0.5).round().clamp(1, 5)
        return torch.where(_uniform((n, ITEMS), rng) < KNOWN, given, torch.zeros_like(given)).float()

    return _drawn("ratings", draw)


def bars() -> Tensor:
    """The topics' laws of words: (2 SIDE, SIDE^2), each uniform on a row or on a column of the square."""
    square = torch.eye(SIDE, dtype=torch.float64)
    rows = square[:, :, None].expand(-1, -1, SIDE)
    columns = square[:, None, :].expand(-1, SIDE, -1)
    return torch.cat([rows, columns]).flatten(1) / SIDE


def _uniform(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """On (0, 1)."""
    return torch.rand(shape, generator=rng, dtype=torch.float64).clamp_(min=2.0**-54)


def _drawn(name: str, draw: Callable[[int, torch.Generator], Tensor]) -> Dataset:
    """Three splits, each from its own stream."""
    train, holdout, test = (
        Split(draw(size, seeding.stream("data", name, f"v{VERSION}", part))) for part, size in SIZES.items()
    )
    return assemble(name, train, holdout, test, version=VERSION)
