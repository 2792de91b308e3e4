"""What models of pixels one after another share: causal convolutions, quantised levels, and drawing in raster order.

Pixels are ordered by row, then column, then channel. A horizontal convolution looks left along a row; at the pixel
itself its channels are split into one group per image channel, and a group sees earlier groups only (with its own,
unless `strict`). Rows above need no mask: they are shifted down instead.

Source      van den Oord et al. 2016, arXiv:1601.06759 section 3.4 (masks A and B), arXiv:1606.05328 section 2.2.
Shapes      B batch, C image channels, H, W pixels, L levels, F features.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LeftConv(nn.Conv2d):
    """1 x size convolution over the pixel and those to its left: (B, I, H, W) -> (B, O, H, W).

    `strict` is mask A: the pixel's own channel group is hidden, for the first layer. Output channels come as `parts`
    blocks that each hold all groups, as the tanh and sigmoid halves of a gate do.
    """

    mask: Tensor

    def __init__(
        self, n_in: int, n_out: int, size: int, *, groups: int = 1, strict: bool = False, parts: int = 1
    ) -> None:
        super().__init__(n_in, n_out, (1, size))
        block = n_out // parts
        group_in = torch.arange(n_in) * groups // n_in
        group_out = torch.arange(n_out) % block * groups // block
        seen = group_in < group_out[:, None] if strict else group_in <= group_out[:, None]
        mask = torch.ones(n_out, n_in, 1, size)
        mask[..., 0, -1] = seen
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (self.kernel_size[1] - 1, 0)), self.weight * self.mask, self.bias)

    def freeze(self) -> None:
        """Keep the masked weights as a matrix for `at` and `pixel`, until they change."""
        self.matrix = (self.weight * self.mask).detach().flatten(1)  # (O, I size)

    def at(self, window: Tensor) -> Tensor:
        """The output of one pixel from all it sees: (B, I size) -> (B, O)."""
        return F.linear(window, self.matrix, self.bias)

    def pixel(self, row: Tensor, j: int) -> Tensor:
        """The output at pixel j of a row, zeros beyond its start: (B, I, W) -> (B, O)."""
        size = self.kernel_size[1]
        if j + 1 < size:
            row, j = F.pad(row[:, :, : j + 1], (size - 1 - j, 0)), size - 1
        return self.at(row[:, :, j + 1 - size : j + 1].flatten(1))


def shift_down(x: Tensor) -> Tensor:
    """Every row moved to the next, zeros in the first: row i then holds what rows above i know."""
    return F.pad(x, (0, 0, 1, 0))[:, :, :-1]


def quantise(x: Tensor, domain: tuple[float, float], n_levels: int) -> Tensor:
    """Index of the nearest of `n_levels` evenly spaced values from one end of the domain to the other, int64."""
    low, high = domain
    return ((x - low) * ((n_levels - 1) / (high - low))).round().clamp(0, n_levels - 1).long()


def draw_levels(x: Tensor, domain: tuple[float, float], n_levels: int, rng: torch.Generator) -> Tensor:
    """Index of the level below or above, the nearer one the likelier, so that the mean is x; for two levels a draw of
    black or white with the grey value's probability, int64."""
    low, high = domain
    place = (x - low) * ((n_levels - 1) / (high - low))
    u = torch.rand(x.shape, generator=rng, device=x.device, dtype=x.dtype)
    return (place + u).floor().clamp(0, n_levels - 1).long()


def level_values(index: Tensor, domain: tuple[float, float], n_levels: int) -> Tensor:
    """The values that indices stand for, float32."""
    low, high = domain
    return low + index.float() * ((high - low) / (n_levels - 1))


class PixelNetwork(Protocol):
    """A network that can be run pixel by pixel, each activation computed once."""

    def modules(self) -> Iterator[nn.Module]:
        """As of any `nn.Module`."""

    def start(self, x: Tensor) -> None:
        """Make empty caches for a batch of images (B, C, H, W)."""

    def pixel(self, x: Tensor, i: int, j: int) -> Tensor:
        """Logits of pixel (i, j) given all before it: -> (B, C, L). May be called again as channels are filled in."""

    def end_row(self, x: Tensor, i: int) -> None:
        """Row i is complete: compute what the next rows need of it."""


@torch.no_grad()
def fill(
    network: PixelNetwork, x: Tensor, known: Tensor, u: Tensor, domain: tuple[float, float], n_levels: int
) -> Tensor:
    """Draw the unknown pixels in raster order, each from its exact conditional given all before it.

    x (B, C, H, W) with `known` (C, H, W) true where it is to be kept; u (B, C, H, W) uniform on [0, 1), one number a
    pixel, through the inverse of the distribution function: the images are a function of u, however they are computed.
    """
    x = torch.where(known, x, torch.zeros_like(x))
    for module in network.modules():
        if isinstance(module, LeftConv):
            module.freeze()
    network.start(x)
    _, channels, height, width = x.shape
    keep = known.tolist()
    for i in range(height):
        for j in range(width):
            for c in range(channels):
                logits = network.pixel(x, i, j)
                if not keep[c][i][j]:
                    index = draw(logits[:, c], u[:, c, i, j])
                    x[:, c, i, j] = level_values(index, domain, n_levels)
        network.end_row(x, i)
    return x


def head_at(head: nn.Sequential, h: Tensor) -> Tensor:
    """A head of 1 x 1 convolutions and activations at one pixel: (B, F) -> (B, O)."""
    for module in head:
        h = module.at(h) if isinstance(module, LeftConv) else module(h)
    return h


def draw(logits: Tensor, u: Tensor) -> Tensor:
    """The level at which the distribution function passes u: (B, L), (B,) -> (B,) int64."""
    cumulative = torch.softmax(logits.double(), 1).cumsum(1)
    return (cumulative < u[:, None]).sum(1).clamp(max=logits.shape[1] - 1)
