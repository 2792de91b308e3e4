"""Random vectors of words, and of documents their mean: what a metric of vectors says when nothing was learnt.

Not a model: a control row. On documents it is a random projection of word counts, which is more than nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.model import Budget, Count, DataSpec, Model, Split, register
from ganbench.nn.words import check_vocabulary, mean_of_words


@register("random_vectors", family="control", gives=("embed", "embed_words"), events=("tokens",))
class RandomVectors(Model):
    """Independent normal draws for every word."""

    class Config(Model.Config):
        dim: Count = 100

    vectors: Tensor  # (V, F)

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.register_buffer("vectors", torch.zeros(check_vocabulary(spec, 1), self.config.dim))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        self.vectors.copy_(torch.randn(self.vectors.shape, generator=rng, device=rng.device))

    def embed(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return mean_of_words(self.vectors, x)

    def embed_words(self) -> Tensor:
        return self.vectors
