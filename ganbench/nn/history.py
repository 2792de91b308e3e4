"""A module's parameters in the past, for penalties on moving away from them.

Source      Salimans et al. 2016, "Improved Techniques for Training GANs", section 3.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn


class ParameterHistory(nn.Module):
    """|theta - past|^2, where past is the mean of all iterates so far, or only the iterate before the last step.

    Call `update()` after each step of the optimizer. State lives in buffers and is changed in place.
    """

    count: Tensor

    def __init__(self, module: nn.Module, past: Literal["mean", "previous"] = "mean") -> None:
        super().__init__()
        self.past = past
        self._source = [module]  # in a list, so that the module is not registered twice
        self.register_buffer("count", torch.ones(()))
        for i, p in enumerate(module.parameters()):
            self.register_buffer(f"past_{i}", p.detach().clone())
            self.register_buffer(f"last_{i}", p.detach().clone())

    def _buffers_named(self, prefix: str) -> list[Tensor]:
        return [b for name, b in self.named_buffers() if name.startswith(prefix)]

    def penalty(self, parameters: Iterable[Tensor] | None = None) -> Tensor:
        """Squared distance of the module's parameters, or of the given ones, from the past: -> ()."""
        parameters = self._source[0].parameters() if parameters is None else parameters
        terms = [(p - a).square().sum() for p, a in zip(parameters, self._buffers_named("past_"), strict=True)]
        return torch.stack(terms).sum()

    @torch.no_grad()
    def update(self) -> None:
        """Take the module's parameters into the past."""
        now = [p.detach() for p in self._source[0].parameters()]
        past, last = self._buffers_named("past_"), self._buffers_named("last_")
        if self.past == "mean":
            self.count += 1
            for a, p in zip(past, now, strict=True):
                a.add_((p - a) / self.count)
        else:  # theta(i - 1) at the time of the next loss, when the module holds theta(i)
            torch._foreach_copy_(past, last)
            torch._foreach_copy_(last, now)
