"""The moving average of weights is the weighted mean it says it is."""

from __future__ import annotations

import torch
from torch import nn

from ganbench.nn import EMA


def test_average_is_the_weighted_mean_of_what_was_taken_in() -> None:
    module, decay = nn.Linear(3, 2), 0.9
    average = EMA(module, decay)
    taken = []
    for _ in range(5):
        nn.init.normal_(module.weight)
        average.update()
        taken.append(module.weight.detach().clone())
    weights = [decay**k for k in range(4, -1, -1)]
    expected = sum(w * t for w, t in zip(weights, taken, strict=True)) / sum(weights)
    torch.testing.assert_close(average.average.weight, expected)


def test_buffers_are_those_of_the_module() -> None:
    module = nn.BatchNorm1d(2)
    average = EMA(module, 0.99)
    module(torch.randn(8, 2))
    average.update()
    torch.testing.assert_close(average.average.running_mean, module.running_mean)
    assert not any(p.requires_grad for p in average.average.parameters())
