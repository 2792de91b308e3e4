"""What conditions must look like: tokens padded at their end, attributes of -1 and 1.

Shapes      B batch, L tokens, A attributes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.data import Condition
from ganbench.errors import BadInput


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


def check_attributes(attributes: Tensor, n: int, cond: Condition) -> None:
    """Raise `BadInput` unless attributes are (n, A) floats of -1 and 1, as many as the condition has."""
    wanted = (n, *cond.shape)
    if tuple(attributes.shape) != wanted or not attributes.is_floating_point():
        raise BadInput(f"attributes must be {wanted} floats; got {tuple(attributes.shape)} {str(attributes.dtype)[6:]}")
    if not bool((attributes.abs() == 1).all()):
        raise BadInput("attributes must be -1 or 1, one for each name of the condition; got other numbers")
