"""The residual pair for 32x32 images behind WGAN-GP's Inception Score of 7.86 on CIFAR-10.

Source      Gulrajani et al. 2017 (WGAN-GP, arXiv:1704.00028), section 5.4 and appendix C: pre-activation blocks of two
            3x3 convolutions and 128 filters; batch norm in the generator, none in the critic; He's initial weights
            in the blocks, Glorot's elsewhere. Of its class conditions nothing is here.
Shapes      B batch, Z latent, C channels, F = 128 features.
"""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from ganbench.nn.strided import Judge

FILTERS = 128
Resample = Literal["up", "down", "none"]


def _conv(n_in: int, n_out: int, kernel: int, gain: float) -> nn.Conv2d:
    """A convolution that keeps the sides, its weights uniform with variance gain * 2 / (fan in + fan out)."""
    made = nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2)
    nn.init.xavier_uniform_(made.weight, math.sqrt(gain))
    nn.init.zeros_(made.bias)  # type: ignore[arg-type]
    return made


class PreactivatedBlock(nn.Module):
    """x -> shortcut(x) + convolution of ReLU of convolution of ReLU: (B, n_in, H, W) -> (B, 128, H', W').

    `first` marks the critic's first block, whose input is the image: no ReLU before it, and its shortcut shrinks first.
    """

    def __init__(self, n_in: int, resample: Resample, *, norm: bool = False, first: bool = False) -> None:
        super().__init__()
        self.resample, self.first = resample, first
        self.norms = nn.ModuleList(nn.BatchNorm2d(n) if norm else nn.Identity() for n in (n_in, FILTERS))
        self.one, self.two = _conv(n_in, FILTERS, 3, 2.0), _conv(FILTERS, FILTERS, 3, 2.0)
        plain = resample == "none" and n_in == FILTERS
        self.shortcut: nn.Module = nn.Identity() if plain else _conv(n_in, FILTERS, 1, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.first else F.relu(self.norms[0](x))
        y = F.relu(self.norms[1](self.one(self._larger(y))))
        short = self.shortcut(self._smaller(x) if self.first else self._larger(x))
        return (short if self.first else self._smaller(short)) + self._smaller(self.two(y))

    def _larger(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2) if self.resample == "up" else x

    def _smaller(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2) if self.resample == "down" else x


class ResidualGenerator32(nn.Module):
    """Projection to 4x4 maps, three blocks that double the sides, a convolution, tanh: (B, Z) -> (B, C, 32, 32)."""

    def __init__(self, latent_dim: int, n_channels: int) -> None:
        super().__init__()
        project = nn.Linear(latent_dim, FILTERS * 16)
        nn.init.xavier_uniform_(project.weight)
        nn.init.zeros_(project.bias)
        self.body = nn.Sequential(
            project, nn.Unflatten(1, (FILTERS, 4, 4)), *(PreactivatedBlock(FILTERS, "up", norm=True) for _ in range(3)),
            nn.BatchNorm2d(FILTERS), nn.ReLU(), _conv(FILTERS, n_channels, 3, 1.0), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.body(z)
        return out


class ResidualCritic32(Judge):
    """Two blocks that halve the sides, two plain ones, the mean over positions, a head: (B, C, 32, 32) -> (B,)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            PreactivatedBlock(n_channels, "down", first=True), PreactivatedBlock(FILTERS, "down"),
            PreactivatedBlock(FILTERS, "none"), PreactivatedBlock(FILTERS, "none"), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        )  # fmt: skip
        self.n_features = FILTERS
        self.head = nn.Linear(FILTERS, 1)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)
