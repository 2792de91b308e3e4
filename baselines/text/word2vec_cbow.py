"""CBOW with negative sampling: word vectors whose mean around a gap tells the word in it from noise.

Source      Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space" (arXiv:1301.3781),
            section 3.1; negative sampling and thinning of frequent words as in arXiv:1310.4546, equation 4 and section
            2.3; windows that shrink at random from word2vec.c.
Departures  1. All words of a document share `noise_words` draws of noise, weighted as `negatives` for each word: the
               same loss on average. Noise that happens to be the right word counts, as in Levy and Goldberg 2014.
            2. Adam with the rate falling to 0 linearly, on batches of whole rows. Gradients are those of the mean.
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


@register("word2vec_cbow", family="text", paper="arXiv:1301.3781", gives=("embed_words",), events=("tokens",))
class CBOW(Model):
    @dataclass(frozen=True)
    class Config(Model.Config):
        batch_size: Count = 32  # documents
        dim: Count = 100
        window: Count = 5
        negatives: Count = 5  # for each word
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
        """-log sigmoid(u . h) - k E log sigmoid(-u_noise . h), h the mean of the words around, averaged over words."""
        c, words = self.config, self.words
        x = words.thin(batch.x, batch.rng)
        near = windows(x, c.window, batch.rng)  # (B, L, L)
        count = near.sum(2)  # (B, L) words around each place
        h = near @ words.as_input(x) / count.clamp(min=1)[:, :, None]  # (B, L, F)
        u, noise = words.as_outputs(x, c.noise_words, batch.rng)  # (B, L, F), (B, M, F)
        true = -F.logsigmoid((h * u).sum(2))  # (B, L)
        false = -c.negatives * F.logsigmoid(-h @ noise.mT).mean(2)  # (B, L)
        there = (count > 0).float()
        return (there * (true + false)).sum() / there.sum().clamp(min=1)

    def embed_words(self) -> Tensor:
        return self.words.inputs
