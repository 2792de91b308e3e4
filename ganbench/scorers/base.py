"""The contract of a scorer: class posteriors and features of events, with a signature that pins its weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

C = TypeVar("C")


class Scorer(Protocol):
    """What metrics look through. Works in batches, without gradients, in eval mode, on the device of its input."""

    signature: str  # name and first 8 hex digits of the weights' sha256, e.g. "mnist-cnn@3f2a91bc"
    n_classes: int
    domain: tuple[float, float] | None  # of the events it takes; None: any

    def probs(self, x: Tensor) -> Tensor:
        """(N, *E) -> (N, K) float64 class posteriors."""
        ...

    def features(self, x: Tensor) -> Tensor:
        """(N, *E) -> (N, F) float32 penultimate features."""
        ...


def scorer(
    name: str,
    *,
    event_shape: tuple[int, ...] = (),  # () accepts several
    needs_weights: bool = False,  # made as cls(weights: Path | None); otherwise cls()
    needs_mixture: bool = False,  # made as cls(mixture): the exact density of the data set
) -> Callable[[C], C]:
    """Register a class as the scorer `name`; arguments must be literals, for they are read without importing."""

    def mark(cls: C) -> C:
        return cls

    return mark


@runtime_checkable
class Linear(Protocol):
    """A scorer whose posteriors follow from its features, so that one pass through its network gives both."""

    def posteriors(self, features: Tensor) -> Tensor:
        """(N, F) float32 -> (N, K) float64 class posteriors."""
        ...


@torch.no_grad()
def in_batches(function: Callable[[Tensor], Tensor], x: Tensor, size: int = 500) -> Tensor:
    """function(x) computed `size` rows at a time, without gradients: (N, *E) -> (N, ...)."""
    return torch.cat([function(rows) for rows in x.split(size)])
