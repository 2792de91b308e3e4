"""What models of words by those around them share: a table of vectors, counts of the corpus, one falling rate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ganbench.data import Batch, DataSpec, Split
from ganbench.model import Config, Count, Model, NonNegative, Player, Positive
from ganbench.nn.words import WordTable, check_corpus, check_vocabulary


class WordVectors(Model):
    """A subclass says in `loss` how `words` are to predict each other, with negative samples in place of a softmax."""

    class Config(Model.Config):
        batch_size: Count = 32  # documents
        dim: Count = 100
        window: Count = 5
        negatives: Count = 5  # for each word, or pair of words, that is predicted
        noise_words: Count = 16  # drawn for a document
        sample: NonNegative = 1e-3  # frequent words are thinned out beyond this share; 0: none is
        noise_power: NonNegative = 0.75  # of the unigram law
        lr: Positive = 0.01

    config: Config

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.words = WordTable(check_vocabulary(spec, self.config.window), self.config.dim)

    def start(self, data: Split, rng: torch.Generator) -> None:
        check_corpus(data.x, len(self.words.noise), self.config.window)
        self.words.learn_counts(data.x, self.config.noise_power, self.config.sample)

    def players(self) -> list[Player]:
        return [Player("vectors", self, self.loss, partial(torch.optim.Adam, lr=self.config.lr))]

    @property
    def schedule(self) -> Callable[[float], float]:
        """The rate falls to 0 throughout."""
        return lambda share: 1 - share

    def loss(self, batch: Batch) -> Tensor:
        """What the vectors minimise."""
        raise NotImplementedError

    def embed_words(self) -> Tensor:
        return self.words.inputs
