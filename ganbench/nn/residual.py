"""Residual pairs of bottleneck blocks, for images of any map sizes.

Source      Gulrajani et al. 2017 (WGAN-GP, arXiv:1704.00028), figure 2, read in the authors' code; He et al. 2016.
Shapes      B batch, Z latent, C channels, H side of the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganbench.nn.linear import Linear
from ganbench.nn.strided import Judge, Norm, normed, up

BLOCKS = 6  # plain blocks at each resolution, one fewer at the image's


class Bottleneck(nn.Module):
    """x -> shortcut(x) + 0.3 norm(1x1, kxk, 1x1 convolutions of ReLUs), which may change channels and resolution."""

    def __init__(self, n_in: int, n_out: int, side: int, to: int, norm: Norm) -> None:
        super().__init__()
        inner, outer = max(1, n_in // 2), max(1, n_out // 2)
        self.side = to
        self.shortcut: nn.Module = nn.Identity()
        if to > side:
            middle: nn.Module = up(inner, outer, side, to, 3)
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, 4 * n_out, 1), nn.PixelShuffle(2))
        elif to < side:
            middle = nn.Conv2d(inner, outer, 3, 2, 1)
            self.shortcut = nn.Conv2d(n_in, n_out, 1, 2)
        else:
            middle = nn.Conv2d(inner, outer, 3, padding=1)
        self.branch = nn.Sequential(
            nn.ReLU(), nn.Conv2d(n_in, inner, 1), nn.ReLU(), middle, nn.ReLU(), nn.Conv2d(outer, n_out, 1, bias=False),
            *normed(norm, n_out),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.shortcut(x)[..., : self.side, : self.side] + 0.3 * self.branch(x)
        return out


def _bottlenecks(sides: Sequence[int], widths: Sequence[int], norm: Norm, image: int) -> list[nn.Module]:
    """Six plain blocks at each resolution, five at the image's, and one to reach the next: widths[i] at sides[i]."""
    blocks: list[nn.Module] = []
    for i, (side, width) in enumerate(zip(sides, widths, strict=True)):
        if i:
            blocks.append(Bottleneck(widths[i - 1], width, sides[i - 1], side, norm))
        blocks += [Bottleneck(width, width, side, side, norm) for _ in range(BLOCKS - (side == image))]
    return blocks


class ResidualGenerator(nn.Module):
    """Projection, bottlenecks and a 1x1 convolution: (B, Z) -> (B, C, H, H)."""

    def __init__(self, latent_dim: int, sides: Sequence[int], widths: Sequence[int], n_channels: int) -> None:
        super().__init__()
        start = (widths[0], sides[0], sides[0])
        project = [Linear(latent_dim, math.prod(start)), nn.Unflatten(1, start)]
        self.body = nn.Sequential(*project, *_bottlenecks(sides, widths, nn.BatchNorm2d, sides[-1]))
        self.out = nn.Conv2d(widths[-1], n_channels, 1)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.out(self.body(z)) / 5)


class ResidualDiscriminator(Judge):
    """A 1x1 convolution, bottlenecks and a linear head."""

    def __init__(self, sides: Sequence[int], widths: Sequence[int], n_channels: int, norm: Norm) -> None:
        super().__init__()
        first = nn.Conv2d(n_channels, widths[0], 1)
        self.body = nn.Sequential(first, *_bottlenecks(sides, widths, norm, sides[0]))
        self.n_features = widths[-1] * sides[-1] ** 2
        self.head = Linear(self.n_features, 1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 5
