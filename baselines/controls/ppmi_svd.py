"""Counted word vectors: the SVD of positive pointwise mutual information, which word2vec factorises implicitly.

Not a model: a control row, strong and without chance. Source: Levy, Goldberg and Dagan 2015, "Improving Distributional
Similarity with Lessons Learned from Word Embeddings", sections 2 and 3: contexts to the power 0.75, U sqrt(S).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ganbench.model import Budget, Count, DataSpec, Model, NonNegative, NotApplicable, Split, register
from ganbench.nn.words import check_corpus, check_vocabulary, mean_of_words


@register("ppmi_svd", family="control", gives=("embed", "embed_words"), events=("tokens",))
class PPMI(Model):
    """log p(w, c) / (p(w) p(c)) where it is above 0, of words within a window that counts nearer words more."""

    class Config(Model.Config):
        dim: Count = 100
        window: Count = 5
        context_power: NonNegative = 0.75  # of the law of contexts

    vectors: Tensor  # (V, F)

    def build(self, spec: DataSpec) -> None:
        self.spec, v = spec, check_vocabulary(spec, 1)
        self.register_buffer("vectors", torch.zeros(v, min(self.config.dim, v - 1)))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        """Closed form, whatever the budget. Raises `NotApplicable` where no two words meet."""
        from scipy.sparse import coo_array
        from sklearn.utils.extmath import randomized_svd

        check_corpus(data.x, len(self.vectors), 1)
        meetings = count_meetings(data.x.cpu(), len(self.vectors), self.config.window)
        if meetings.nnz == 0:
            raise NotApplicable("needs documents of two words or more")
        rows, columns = meetings.coords
        contexts = np.asarray(meetings.sum(0)) ** self.config.context_power
        of_row, of_column = np.asarray(meetings.sum(1))[rows], (contexts / contexts.sum())[columns]
        pmi = np.maximum(np.log(meetings.data / (of_row * of_column)), 0)
        seed = int(torch.randint(2**31, (), generator=rng, device=rng.device))
        table = coo_array((pmi, (rows, columns)), shape=meetings.shape).tocsr()
        u, s, _ = randomized_svd(table, self.vectors.shape[1], random_state=seed)
        self.vectors.copy_(torch.from_numpy(u * np.sqrt(s)))

    def embed(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return mean_of_words(self.vectors, x)

    def embed_words(self) -> Tensor:
        return self.vectors


def count_meetings(x: Tensor, v: int, window: int):  # type: ignore[no-untyped-def]  # scipy has no types
    """Meetings of words (V, V) in documents (N, L), those at distance d counting 1 - (d - 1) / window; sparse."""
    from scipy.sparse import coo_array

    parts = []
    for d in range(1, min(window, x.shape[1] - 1) + 1):
        a, b = x[:, :-d].flatten(), x[:, d:].flatten()
        met = ((a >= 0) & (b >= 0)).nonzero().squeeze(1)
        weight = torch.full((len(met),), 1 - (d - 1) / window, dtype=torch.float64)
        parts += [(a[met], b[met], weight), (b[met], a[met], weight)]
    first, second, weights = (torch.cat(p).numpy() for p in zip(*parts, strict=True))
    table = coo_array((weights, (first, second)), shape=(v, v))
    table.sum_duplicates()
    return table
