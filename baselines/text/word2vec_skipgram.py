"""Skip-gram with negative sampling: a word's vector is learnt by telling the words around it from noise.

Source      Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their Compositionality",
            equation 4 and section 2.3; windows that shrink at random from word2vec.c.
Departures  1. All words of a document share `noise_words` draws of noise, weighted as `negatives` for each pair: the
               same loss on average. Noise that happens to be the right word counts, as in Levy and Goldberg 2014.
            2. Adam with the rate falling to 0 linearly, on batches of whole rows; the paper descends pair by pair.
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
from ganbench.nn.words import WordTable, check_corpus, check_vocabulary, windows


@register("word2vec_skipgram", family="text", paper="arXiv:1310.4546", gives=("embed_words",), events=("tokens",))
class SkipGram(Model):
    @dataclass(frozen=True)
    class Config(Model.Config):
        batch_size: Count = 32  # documents
        dim: Count = 100
        window: Count = 5
        negatives: Count = 5  # for each pair
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

    def embed_words(self) -> Tensor:
        return self.words.inputs
