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

import torch.nn.functional as F
from torch import Tensor

from ganbench.bases.word_vectors import WordVectors
from ganbench.model import Batch, register
from ganbench.nn.words import windows


@register("word2vec_cbow", family="text", paper="arXiv:1301.3781", gives=("embed_words",), events=("tokens",))
class CBOW(WordVectors):
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
