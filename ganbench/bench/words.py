"""`bench words`: words of text a second that word vectors learn from, beside gensim with the same settings.

gensim's inner loop is compiled and goes pair by pair; it has one thread for training and one that feeds it, of which
processor time counts both. One reading is an epoch of the Wikipedia excerpt.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ganbench.bench.timing import Clock, ratio
from ganbench.bench.train import rounds_of
from ganbench.data import Split
from ganbench.datasets.load import load
from ganbench.engine.loop import train
from ganbench.errors import UnknownName
from ganbench.model import Budget
from ganbench.model.make import make

MODELS = {"word2vec_skipgram": 1, "word2vec_cbow": 0}  # gensim's `sg`


@dataclass(frozen=True)
class Row:
    """One model and its peer; `ratio` is gensim's time over ours, median and extremes over interleaved rounds."""

    model: str
    words_per_s: float
    gensim_words_per_s: float
    ratio: float
    lowest: float
    highest: float


def run(models: list[str], *, clock: Clock = "wall", rounds: int = 5) -> list[Row]:
    """Every model and gensim in turns, on one thread each. Raises `UnknownName`, or `MissingResource` for no gensim."""
    for name in models:
        if name not in MODELS:
            raise UnknownName("model of this benchmark", name, MODELS)
    data = load("wikipedia")
    split, text = Split(data.train.x), data.text
    assert text is not None
    rows = [[text.words[i] for i in row if i >= 0] for row in split.x.tolist()]
    words = sum(map(len, rows))
    found = []
    for name in models or MODELS:
        ours = make(name, data.spec, seed=(name, "wikipedia", 0))
        theirs = peer(name, ours.config, rows)
        epoch = Budget(iterations=max(1, len(split) // ours.config.batch_size))
        examined = epoch.iterations * ours.config.batch_size / len(split) * words  # type: ignore[operator]
        calls: dict[str, Callable[[], object]] = {
            "ours": partial(_trained, ours, split, epoch),
            "gensim": partial(theirs.train, rows, total_examples=len(rows), epochs=1),
        }
        times = rounds_of(calls, clock, rounds)
        each = {way: [t / n for t in times[way]] for way, n in (("ours", examined), ("gensim", words))}
        middle, low, high = ratio(each["gensim"], each["ours"])
        ours_rate, gensim_rate = (1 / statistics.median(each[way]) for way in ("ours", "gensim"))
        found.append(Row(name, ours_rate, gensim_rate, middle, low, high))
    return found


def _trained(model: Any, split: Split, budget: Budget) -> None:
    train(model, split, budget, torch.Generator().manual_seed(0))


def peer(name: str, config: Any, rows: list[list[str]], **more: Any) -> Any:
    """gensim's model with the settings of ours, its vocabulary built and nothing trained yet."""
    from gensim.models import Word2Vec

    model = Word2Vec(
        vector_size=config.dim,
        window=config.window,
        negative=config.negatives,
        sample=config.sample,
        ns_exponent=config.noise_power,
        min_count=1,
        sg=MODELS[name],
        workers=1,
        seed=1,
        **more,
    )
    model.build_vocab(rows)
    return model
