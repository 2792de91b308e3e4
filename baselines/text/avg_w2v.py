"""A document as the mean of its words' vectors, which skip-gram learns on the same documents.

Source      Word vectors: Mikolov et al. 2013 (arXiv:1310.4546), equation 4; their mean is the usual first baseline, to
            which Le and Mikolov 2014 compare (arXiv:1405.4053, section 3.2). It is blind to the order of words.
Departures  Those of word2vec_skipgram: noise shared within a document, Adam on batches of whole rows.
Shapes      B documents, L places of words, V words of the vocabulary, F dim, M noise_words, R window.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.bases.word_vectors import WordVectors
from ganbench.model import Batch, Count, NonNegative, register
from ganbench.nn.words import mean_of_words, neighbours, offsets


@register("avg_w2v", family="text", paper="arXiv:1405.4053", gives=("embed", "embed_words"), events=("tokens",))
class MeanOfWords(WordVectors):
    class Config(WordVectors.Config):
        dim: Count = 50
        window: Count = 2
        sample: NonNegative = 0.0

    config: Config

    def loss(self, batch: Batch) -> Tensor:
        """The negative of equation 4, averaged over pairs of a word and a word near it."""
        c, words = self.config, self.words
        x = words.thin(batch.x, batch.rng)
        near = offsets(x, c.window, batch.rng)  # (B, L, 2 R)
        v = words.as_input(x)  # (B, L, F)
        u, noise = words.as_outputs(x, c.noise_words, batch.rng)  # (B, L, F), (B, M, F)
        true = -near * F.logsigmoid(neighbours(v, u, near))  # (B, L, 2 R): -log sigmoid of each pair
        false = -c.negatives * F.logsigmoid(-v @ noise.mT).mean(2)  # (B, L): of a pair's noise
        return (true.sum() + (near.sum(2) * false).sum()) / near.sum().clamp(min=1)

    def embed(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """(B, L) -> (B, F). Raises `BadInput` for unknown words."""
        return mean_of_words(self.words.inputs, x)
