"""Doc2vec: a vector for each document that predicts its words, alone (PV-DBOW) or with the words before (PV-DM).

Source      Le and Mikolov 2014, "Distributed Representations of Sentences and Documents" (arXiv:1405.4053), sections
            2.2 and 2.3; a new document gets a vector of its own, fitted with everything else frozen.
Departures  1. Negative sampling as in word2vec, noise shared within a document; the paper has a hierarchical softmax.
            2. PV-DM takes the mean of the document's vector and those of the words before; the paper joins them, too.
            3. Adam with the rate falling to 0 linearly, on batches of whole documents.
Shapes      B documents, L places of words, V words of the vocabulary, F dim, M noise_words, N training documents.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.bases.word_vectors import WordVectors
from ganbench.model import Batch, Count, DataSpec, NonNegative, Positive, register
from ganbench.nn.tokens import check_rows
from ganbench.nn.words import sum_before


@register(
    "doc2vec",
    family="text",
    paper="arXiv:1405.4053",
    gives=("embed", "embed_words"),
    needs=("rows",),
    events=("tokens",),
)
class Doc2Vec(WordVectors):
    class Config(WordVectors.Config):
        mode: Literal["dm", "dbow"] = "dm"
        dim: Count = 50
        window: Count = 2  # words before
        sample: NonNegative = 0.0
        lr: Positive = 0.03
        steps: Count = 200  # of fitting the vector of a new document
        step_size: Positive = 0.02  # of these, falling to 0 linearly

    config: Config

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        dim = self.config.dim
        self.documents = nn.Embedding(spec.n_train, dim)
        nn.init.uniform_(self.documents.weight, -0.5 / dim, 0.5 / dim)

    def loss(self, batch: Batch) -> Tensor:
        x = self.words.thin(batch.x, batch.rng)
        return self.surprise(self.documents(batch.rows), x, batch.rng).sum() / (x >= 0).sum().clamp(min=1)

    def surprise(self, d: Tensor, x: Tensor, rng: torch.Generator) -> Tensor:
        """-log sigmoid(u . h) - k E log sigmoid(-u_noise . h), summed over words: (B, F), (B, L) -> (B,)."""
        c, words, there = self.config, self.words, x >= 0
        h = d[:, None].expand(-1, x.shape[1], -1)  # (B, L, F)
        if c.mode == "dm":
            before, n = sum_before(words.as_input(x), there, c.window)  # (B, L, F), (B, L)
            h = (h + before) / (1 + n[:, :, None])
        u, noise = words.as_outputs(x, c.noise_words, rng)  # (B, L, F), (B, M, F)
        true = -F.logsigmoid((h * u).sum(2))  # (B, L)
        false = -c.negatives * F.logsigmoid(-h @ noise.mT).mean(2)  # (B, L)
        return ((true + false) * there).sum(1)

    def embed(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Vectors fitted to documents, seen or not, from 0: (B, L) -> (B, F). Raises `BadInput` for unknown words."""
        c = self.config
        check_rows(x, x.shape[1], len(self.words.noise), "documents")
        d = torch.zeros(len(x), c.dim, device=x.device, requires_grad=True)
        optimizer = torch.optim.Adam([d], lr=c.step_size)
        with torch.enable_grad():
            for step in range(c.steps):
                optimizer.param_groups[0]["lr"] = c.step_size * (1 - step / c.steps)
                loss = (self.surprise(d, x, rng) / (x >= 0).sum(1)).sum()
                (d.grad,) = torch.autograd.grad(loss, [d])
                optimizer.step()
        return d.detach()

    def embed_words(self) -> Tensor:
        return self.words.inputs if self.config.mode == "dm" else self.words.outputs
