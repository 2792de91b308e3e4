"""Encoders of token sequences, padded at their end with -1.

Shapes      B batch, L tokens, V words, D numbers in a code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganbench.data import Condition
from ganbench.errors import BadInput


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


def check_tokens(tokens: Tensor, cond: Condition) -> None:
    """Raise `BadInput` unless tokens are (B, L) int64 words of the condition, padded with -1 at their end only."""
    check_rows(tokens, cond.shape[0], cond.vocabulary, "captions")


def check_rows(tokens: Tensor, length: int, vocabulary: int | None, what: str) -> None:
    """Raise `BadInput` unless tokens are (B, length) int64, words below the vocabulary, then -1 to the end."""
    if tokens.ndim != 2 or tokens.shape[1] != length or tokens.dtype != torch.int64:
        raise BadInput(f"{what} must be (B, {length}) int64; got {tuple(tokens.shape)} {str(tokens.dtype)[6:]}")
    if not tokens.numel():
        return
    if vocabulary is not None and not -1 <= int(tokens.min()) <= int(tokens.max()) < vocabulary:
        raise BadInput(
            f"{what} must hold words from 0 to {vocabulary - 1}, or -1 for padding; "
            f"got {int(tokens.min())} to {int(tokens.max())}"
        )
    there = tokens >= 0
    if not bool(there[:, 0].all()) or bool((there[:, 1:] & ~there[:, :-1]).any()):
        raise BadInput(f"{what} must hold one word at least, and -1 only after their last word")
