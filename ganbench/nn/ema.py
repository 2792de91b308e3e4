"""Exponential moving average of a module's weights, kept as a module of its own."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class EMA(nn.Module):
    """`average` <- decay * average + (1 - decay) * module after each `update()`; buffers are copied."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.average = copy.deepcopy(module).requires_grad_(False)
        self._source = [module]  # in a list, so that the module is not registered twice

    @torch.no_grad()
    def update(self) -> None:
        """Move the average one step towards the module's weights."""
        (module,) = self._source
        ours = [p.detach() for p in self.average.parameters()]
        theirs = [p.detach() for p in module.parameters()]
        torch._foreach_lerp_(ours, theirs, 1 - self.decay)
        for mine, its in zip(self.average.buffers(), module.buffers(), strict=True):
            mine.copy_(its)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.average(*args, **kwargs)
