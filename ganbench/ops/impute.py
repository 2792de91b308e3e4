"""Missing numbers of events from a model that codes and decodes whole ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

STEPS = 30


def impute(x: Tensor, known: Tensor, redraw: Callable[[Tensor], Tensor], steps: int = STEPS) -> Tensor:
    """What is unknown is redrawn with the rest held, again and again: (B, *E), mask (*E) true where known -> (B, *E).

    `redraw` decodes a code drawn for an event; the chain ends near the model's law of the unknown given the known.
    It starts at 0, the middle of an image's domain. Rezende et al. 2014 (arXiv:1401.4082), appendix F.
    """
    x = torch.where(known, x, 0)
    for _ in range(steps):
        x = torch.where(known, x, redraw(x))
    return x
