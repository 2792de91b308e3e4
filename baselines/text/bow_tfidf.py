"""Bag of words, weighted by tf-idf: a document is how often it holds each word, rare words counting for more.

Source      Spärck Jones 1972, "A statistical interpretation of term specificity"; idf = log((1 + N) / (1 + n)) + 1 and
            rows of length 1 as scikit-learn has them. What word vectors are compared with: blind to the order of words.
Departures  None to learn: counts of the training documents, whatever the budget.
Shapes      B documents, L places of words, V words of the vocabulary, N training documents.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.model import Budget, DataSpec, Model, Split, register
from ganbench.nn.tokens import check_rows
from ganbench.nn.words import check_corpus, check_vocabulary


@register("bow_tfidf", family="text", paper="Spärck Jones 1972", gives=("embed",), events=("tokens",))
class TfIdf(Model):
    class Config(Model.Config):
        sublinear: bool = False  # 1 + log of a count in its place
        idf: bool = True  # False: counts alone

    config: Config
    weight: Tensor  # (V,)

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.register_buffer("weight", torch.ones(check_vocabulary(spec, 1)))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        """Raises `BadInput` for documents without words, or words without documents."""
        check_corpus(data.x, len(self.weight), 1)
        held = torch.stack([(self.counts(x) > 0).sum(0) for x in data.x.split(1000)]).sum(0)  # (V,) documents of each
        if self.config.idf:
            self.weight.copy_(torch.log((1 + len(data)) / (1 + held)) + 1)

    def counts(self, x: Tensor) -> Tensor:
        """How often each word stands in a document: (B, L) -> (B, V)."""
        there = (x >= 0).float()
        return torch.zeros(len(x), len(self.weight), device=x.device).scatter_add_(1, x.clamp(min=0), there)

    def embed(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """(B, L) -> (B, V). Raises `BadInput` for unknown words."""
        check_rows(x, x.shape[1], len(self.weight), "documents")
        counts = self.counts(x)
        if self.config.sublinear:
            counts = torch.where(counts > 0, 1 + counts.clamp(min=1).log(), 0)
        return F.normalize(counts * self.weight, dim=1)
