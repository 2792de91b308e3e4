"""Frozen features as published: every layer once, maps pooled to 4x4 by their maxima."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganbench.data import DataSpec
from ganbench.nn import hidden_layers, pooled
from ganbench.registry import MODELS


def test_maps_are_pooled_by_their_maxima_and_small_ones_left() -> None:
    x = torch.arange(64.0).view(1, 1, 8, 8)
    assert pooled([x]).view(4, 4)[0].tolist() == [9, 11, 13, 15]
    small = torch.randn(2, 3, 2, 2)
    assert torch.equal(pooled([small, torch.ones(2, 5)]), torch.cat([small.flatten(1), torch.ones(2, 5)], 1))


def test_layers_are_those_after_nonlinearities() -> None:
    body = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5), nn.BatchNorm1d(5), nn.LeakyReLU(0.2)).eval()
    x = torch.randn(7, 3)
    first, second = hidden_layers(body, x)
    assert torch.equal(first, body[1](body[0](x)))
    assert torch.equal(second, body(x))


@pytest.mark.parametrize("side", [8, 28, 32])
def test_dcgan_hands_over_all_its_convolutions(side: int) -> None:
    spec = DataSpec("i", (1, side, side), (-1.0, 1.0), 10, 10, 10)
    cls = MODELS.load("dcgan")
    model = cls(cls.configure(spec))
    model.build(spec)
    model.eval()
    x = torch.randn(3, *spec.event_shape).clamp(-1, 1)
    with torch.no_grad():
        got = model.representation(x)
    maps = [m for m in model.discriminator.body if isinstance(m, nn.Conv2d)]
    sides = [side // 2 ** (i + 1) for i in range(len(maps))]
    assert got.shape == (3, sum(m.out_channels * min(4, s) ** 2 for m, s in zip(maps, sides, strict=True)))


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8), (1, 28, 28)])
def test_ali_hands_over_hidden_layers_and_codes(shape: tuple[int, ...]) -> None:
    spec = DataSpec("i", shape, (-1.0, 1.0) if len(shape) == 3 else None, 10, 10, 10)
    cls = MODELS.load("ali")
    model = cls(cls.configure(spec))
    model.build(spec)
    model.eval()
    x = torch.rand(3, *shape)
    with torch.no_grad():
        got, codes = model.representation(x), model.encoder(x)
    assert torch.equal(got[:, -codes.shape[1] :], codes)
    assert got.shape[1] > codes.shape[1]
