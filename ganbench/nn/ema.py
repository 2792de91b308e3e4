"""Exponential moving average of a module's weights, kept as a module of its own."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class EMA(nn.Module):
    """The weighted mean of a module's weights after each `update()`, weights falling by `decay` a step; buffers copied.

    Its own first value does not count: as Adam's moments are, the average is corrected for the start.
    """

    steps: Tensor

    def __init__(self, module: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.average = copy.deepcopy(module).requires_grad_(False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.float64))
        self._source = [module]  # in a list, so that the module is not registered twice

    @torch.no_grad()
    def update(self) -> None:
        """Take the module's weights into the average."""
        (module,) = self._source
        self.steps += 1
        share = ((1 - self.decay) / (1 - self.decay**self.steps)).float()
        for mine, its in zip(self.average.parameters(), module.parameters(), strict=True):
            mine.lerp_(its, share.to(its.dtype))
        for kept, now in zip(self.average.buffers(), module.buffers(), strict=True):
            kept.copy_(now)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.average(*args, **kwargs)
