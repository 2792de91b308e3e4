"""Convolutional pairs of any map sizes, widths, norm and activation: stride 2, no pooling.

Source      Radford et al. 2016 (DCGAN); its own pair is `ganbench.nn.dcgan`, this one is for papers that vary it.
Shapes      B batch, Z latent, C channels, H side of the image, F features.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ganbench.nn.linear import Linear

Norm = Callable[[int], nn.Module] | None


class Gate(nn.Module):
    """sigmoid(a) tanh(b) of two halves of the channels: (B, 2 C, ...) -> (B, C, ...)."""

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, 1)
        return torch.sigmoid(a) * torch.tanh(b)


class ExampleNorm(nn.Module):
    """Layer norm over channels and pixels with a gain and a bias per channel: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, n_channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(x)
        return out


def normed(norm: Norm, width: int) -> list[nn.Module]:
    """The norm of so many channels as a list of layers, empty for none."""
    return [] if norm is None else [norm(width)]


def up(n_in: int, n_out: int, side: int, to: int, kernel: int) -> nn.ConvTranspose2d:
    """A transposed convolution of stride 2 from maps of `side` to maps of `to` pixels, 2 side or one fewer."""
    return nn.ConvTranspose2d(n_in, n_out, kernel, 2, kernel // 2, output_padding=to - (2 * side - 1))


class ConvGenerator(nn.Module):
    """Projection to maps of `sides[0]`, then transposed convolutions of stride 2, tanh out: (B, Z) -> (B, C, H, H).

    `last` is the width of maps at the image's own resolution, from which a convolution makes the image; without it the
    last transposed convolution does.
    """

    def __init__(
        self,
        latent_dim: int,
        sides: Sequence[int],
        widths: Sequence[int],
        n_channels: int,
        *,
        kernel: int = 5,
        norm: Norm = nn.BatchNorm2d,
        activation: Callable[[], nn.Module] = nn.ReLU,
        last: int | None = None,
    ) -> None:
        super().__init__()
        each = 2 if activation is Gate else 1  # a gate halves the channels
        start = (each * widths[0], sides[0], sides[0])
        layers: list[nn.Module] = [Linear(latent_dim, math.prod(start)), nn.Unflatten(1, start)]
        layers += [*normed(norm, start[0]), activation()]
        maps = [*widths, *([last] if last else [])]
        for (before, after), (side, to) in zip(itertools.pairwise(maps), itertools.pairwise(sides), strict=False):
            layers += [up(before, each * after, side, to, kernel), *normed(norm, each * after), activation()]
        if last:
            layers += [nn.Conv2d(last, n_channels, kernel, padding=kernel // 2)]
        else:
            layers += [up(maps[-1], n_channels, sides[-2], sides[-1], kernel)]
        self.body = nn.Sequential(*layers, nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.body(z)
        return out


class Judge(nn.Module):
    """A body and a linear head: (B, C, H, H) -> (B,)."""

    body: nn.Module
    head: nn.Module
    n_features: int

    def features(self, x: Tensor) -> Tensor:
        """Last hidden layer: (B, C, H, H) -> (B, F)."""
        out: Tensor = self.body(x)
        return out.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.features(x))
        return out.squeeze(1)


class ConvDiscriminator(Judge):
    """Convolutions of stride 2, the first of them not normed, and a linear head."""

    def __init__(
        self,
        sides: Sequence[int],
        widths: Sequence[int],
        n_channels: int,
        *,
        norm: Norm,
        kernel: int = 5,
        norm_from: int = 1,
        activation: Callable[[], nn.Module] = lambda: nn.LeakyReLU(0.2),
    ) -> None:
        super().__init__()
        each = 2 if activation is Gate else 1
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(itertools.pairwise([n_channels, *widths])):
            layers += [nn.Conv2d(before, each * after, kernel, 2, kernel // 2)]
            layers += [*normed(norm if i >= norm_from else None, each * after), activation()]
        self.body = nn.Sequential(*layers)
        self.n_features = widths[-1] * sides[-1] ** 2
        self.head = Linear(self.n_features, 1)
