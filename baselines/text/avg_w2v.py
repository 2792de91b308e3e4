"""A document as the mean of its words' vectors, which skip-gram learns on the same documents.

Source      Word vectors: Mikolov et al. 2013 (arXiv:1310.4546), equation 4; their mean is the usual first baseline, to
            which Le and Mikolov 2014 compare (arXiv:1405.4053, section 3.2). It is blind to the order of words.
Departures  Those of word2vec_skipgram: noise shared within a document, Adam on batches of whole rows.
Shapes      B documents, L places of words, V words of the vocabulary, F dim, M noise_words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.model import Batch, Count, DataSpec, Model, NonNegative, Player, Positive, Split, register
from ganbench.nn.words import WordTable, check_corpus, check_vocabulary, mean_of_words, windows


@register("avg_w2v", family="text", paper="arXiv:1405.4053", gives=("embed", "embed_words"), events=("tokens",))
class MeanOfWords(Model):
    @dataclass(frozen=True)
    class Config(Model.Config):
        batch_size: Count = 32  # documents
        dim: Count = 50
        window: Count = 2
        negatives: Count = 5  # for each pair
        noise_words: Count = 16  # drawn for a document
        sample: NonNegative = 0.0  # frequent words are thinned out beyond this share; 0: none is
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
        return [Player("vectors", self.words, self.loss, partial(torch.optim.Adam, lr=self.config.lr))]

    @property
    def schedule(self) -> Callable[[float], float]:
        return lambda share: 1 - share

    def loss(self, batch: Batch) -> Tensor:
        """The negative of equation 4, averaged over pairs of a word and a word near it."""
        c, words = self.config, self.words
        x = words.thin(batch.x, batch.rng)
        near = windows(x, c.window, batch.rng)  # (B, L, L)
        v = words.as_input(x)  # (B, L, F)
        u, noise = words.as_outputs(x, c.noise_words, batch.rng)  # (B, L, F), (B, M, F)
        true = -near * F.logsigmoid(v @ u.mT)  # (B, L, L): -log sigmoid of each pair
        false = -c.negatives * F.logsigmoid(-v @ noise.mT).mean(2)  # (B, L): of a pair's noise
        return (true.sum() + (near.sum(2) * false).sum()) / near.sum().clamp(min=1)

    def embed(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """(B, L) -> (B, F). Raises `BadInput` for unknown words."""
        return mean_of_words(self.words.inputs, x)

    def embed_words(self) -> Tensor:
        return self.words.inputs
