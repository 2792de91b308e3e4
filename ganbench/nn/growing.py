"""Networks that grow: a generator and a critic of several depths, each depth twice the side of the one before.

Source      Karras et al. 2018, "Progressive Growing of GANs" (arXiv:1710.10196), sections 2 to 4 and table 2.
Shapes      B batch, Z latent, C channels, S sides of the depths, smallest first, L depth (0 is the smallest), s side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.errors import NotApplicable

SMALLEST = 4
STATISTICS_OF = 4  # examples whose deviation one number of the minibatch layer is


def growing_sides(side: int) -> list[int]:
    """The side halved for as long as it is even and stays at 4 or more, smallest first: 28 -> [7, 14, 28].

    Raises `NotApplicable` for a side that cannot be halved once.
    """
    sides = [side]
    while sides[0] % 2 == 0 and sides[0] // 2 >= SMALLEST:
        sides.insert(0, sides[0] // 2)
    if len(sides) == 1:
        raise NotApplicable(f"a network grows to sides that halve to {SMALLEST} or more pixels, 8, 28, 32; got {side}")
    return sides


class Equalised(nn.Module):
    """A layer with weights N(0, 1), scaled by He's constant whenever it is used, so that all learn at one rate."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, gain: float = math.sqrt(2)) -> None:
        super().__init__()
        self.layer, self.scale = layer, gain / math.sqrt(layer.weight[0].numel())
        nn.init.normal_(layer.weight)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.layer.weight * self.scale, self.layer.bias
        if isinstance(self.layer, nn.Linear):
            return F.linear(x, weight, bias)
        return F.conv2d(x, weight, bias, padding=self.layer.padding)  # type: ignore[arg-type]


class PixelNorm(nn.Module):
    """Each pixel's vector of features over its root mean square: (B, C, ...) -> (B, C, ...)."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        return out


class MinibatchDeviation(nn.Module):
    """Append one map: deviations over groups of examples, meaned over features: (B, C, s, s) -> (B, C + 1, s, s).

    A group is of 4 examples, or of as many as divide the batch.
    """

    def forward(self, x: Tensor) -> Tensor:
        size = math.gcd(len(x), STATISTICS_OF)
        groups = x.view(size, -1, *x.shape[1:])
        deviation = (groups.var(0, correction=0) + 1e-8).sqrt().flatten(1).mean(1)  # (B / size,)
        return torch.cat([x, deviation.repeat(size)[:, None, None, None].expand(-1, 1, *x.shape[2:])], 1)


def conv(n_in: int, n_out: int, kernel: int = 3) -> list[nn.Module]:
    return [Equalised(nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2)), nn.LeakyReLU(0.2)]


def widths(n: int, width: int) -> list[int]:
    """Filters of n depths, smallest first: `width` next to the image, twice as many at half the side, up to 8 times."""
    return [width * min(2 ** (n - 1 - i), 8) for i in range(n)]


class GrowingGenerator(nn.Module):
    """(B, Z) -> (B, C, s, s) at a depth, linear; while it fades in, `alpha` is its share beside the one before."""

    def __init__(self, latent_dim: int, n_channels: int, sides: Sequence[int], width: int) -> None:
        super().__init__()
        f, s = widths(len(sides), width), sides[0]
        first = Equalised(nn.Linear(latent_dim, f[0] * s * s), math.sqrt(2) / 4)
        start = [PixelNorm(), first, nn.Unflatten(1, (f[0], s, s)), nn.LeakyReLU(0.2), PixelNorm()]
        self.blocks = nn.ModuleList([nn.Sequential(*start, *conv(f[0], f[0]), PixelNorm())])
        for a, b in pairwise(f):
            self.blocks.append(
                nn.Sequential(nn.Upsample(scale_factor=2), *conv(a, b), PixelNorm(), *conv(b, b), PixelNorm())
            )
        self.to_image = nn.ModuleList([Equalised(nn.Conv2d(a, n_channels, 1), 1.0) for a in f])

    def forward(self, z: Tensor, depth: int, alpha: Tensor) -> Tensor:
        h = before = z
        for block in self.blocks[: depth + 1]:
            before, h = h, block(h)
        image: Tensor = self.to_image[depth](h)
        if depth == 0:
            return image
        return torch.lerp(F.interpolate(self.to_image[depth - 1](before), scale_factor=2), image, alpha)


class GrowingCritic(nn.Module):
    """(B, C, s, s) -> (B,) scores at a depth, its layers those of the generator mirrored."""

    def __init__(self, n_channels: int, sides: Sequence[int], width: int) -> None:
        super().__init__()
        f, s = widths(len(sides), width), sides[0]
        self.from_image = nn.ModuleList([nn.Sequential(*conv(n_channels, a, 1)) for a in f])
        last = [nn.Flatten(), Equalised(nn.Linear(f[0] * s * s, f[0])), nn.LeakyReLU(0.2)]
        head = Equalised(nn.Linear(f[0], 1), 1.0)
        self.blocks = nn.ModuleList([nn.Sequential(MinibatchDeviation(), *conv(f[0] + 1, f[0]), *last, head)])
        for a, b in pairwise(f):
            self.blocks.append(nn.Sequential(*conv(b, b), *conv(b, a), nn.AvgPool2d(2)))

    def forward(self, x: Tensor, depth: int, alpha: Tensor) -> Tensor:
        h: Tensor = self.from_image[depth](x)
        if depth:
            h = torch.lerp(self.from_image[depth - 1](F.avg_pool2d(x, 2)), self.blocks[depth](h), alpha)
        for block in reversed(self.blocks[: max(depth, 1)]):  # the first block is that of depth 0 itself
            h = block(h)
        return h.squeeze(1)
