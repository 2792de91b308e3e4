"""Skip-gram with negative sampling: a word's vector is learnt by telling the words around it from noise.

Source      Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their Compositionality",
            equation 4 and section 2.3; windows that shrink at random from word2vec.c.
Departures  1. All words of a document share `noise_words` draws of noise, weighted as `negatives` for each pair: the
               same loss on average. Noise that happens to be the right word counts, as in Levy and Goldberg 2014.
            2. Adam with the rate falling to 0 linearly, on batches of whole rows; the paper descends pair by pair.
Shapes      B documents, L places of words, V words of the vocabulary, F dim, M noise_words.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ganbench.bases.word_vectors import WordVectors
from ganbench.model import Batch, register
from ganbench.nn.words import windows


@register("word2vec_skipgram", family="text", paper="arXiv:1310.4546", gives=("embed_words",), events=("tokens",))
class SkipGram(WordVectors):
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
