"""Encoders of token sequences, padded at their end with -1.

Shapes      B batch, L tokens, V words, D numbers in a code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganbench.data.conditions import check_rows as check_rows
from ganbench.data.conditions import check_tokens as check_tokens


class TokenEncoder(nn.Module):
    """A GRU's state after the last word, which sees their order: (B, L) int64 -> (B, D)."""

    def __init__(self, vocabulary: int, dim: int) -> None:
        super().__init__()
        self.padding = vocabulary
        self.words = nn.Embedding(vocabulary + 1, dim, padding_idx=vocabulary)
        self.rnn = nn.GRU(dim, dim, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        there = tokens >= 0
        states: Tensor = self.rnn(self.words(torch.where(there, tokens, self.padding)))[0]  # (B, L, D)
        last = there.sum(1).clamp_min(1) - 1
        return states.gather(1, last[:, None, None].expand(-1, 1, states.shape[2])).squeeze(1)
