"""Networks from images to images: U-Net, residual translator, super-resolution, and judges of patches.

Source      Isola et al. 2017 (arXiv:1611.07004, appendix 6.1), Zhu et al. 2017 (arXiv:1703.10593, section 4),
            Ledig et al. 2017 (arXiv:1609.04802, figure 4).
Departures  Depths follow the image: a U-Net halves down to 1 or 2 pixels, patches see 16 of 28 or 32 pixels.
Shapes      B batch, C channels, H, W sides of the image, F filters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganbench.errors import NotApplicable


def halvings(side: int) -> list[int]:
    """Sides of the maps from the image down to 2 pixels, each half of the last, rounded up: 28, 14, 7, 4, 2."""
    sides = [side]
    while sides[-1] > 2:
        sides.append((sides[-1] + 1) // 2)
    return sides


class UNet(nn.Module):
    """Strided convolutions down, transposed ones up, each of the latter seeing the map of its size from the way down.

    `dropout` acts in the innermost three layers up, in training and afterwards: it is the model's noise. Instance
    statistics of the batch at hand normalise, in training and afterwards. (B, C1, H, W) -> (B, C2, H, W).
    """

    def __init__(
        self, n_in: int, n_out: int, sides: tuple[int, int], width: int, *, dropout: float = 0.5, skips: bool = True
    ) -> None:
        super().__init__()
        self.skips, self.dropout = skips, dropout
        heights, breadths = halvings(sides[0]), halvings(sides[1])
        depth = min(len(heights), len(breadths)) - 1
        widths = [width * min(2**i, 8) for i in range(depth)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        before = n_in
        for i, after in enumerate(widths):
            norm = [nn.BatchNorm2d(after, track_running_stats=False)] if 0 < i < depth - 1 else []
            act = [nn.LeakyReLU(0.2)] if i else []
            border = (1 + heights[i] % 2, 1 + breadths[i] % 2)
            self.down.append(nn.Sequential(*act, nn.Conv2d(before, after, 4, 2, border), *norm))
            before = after
        for i in reversed(range(depth)):
            after = widths[i - 1] if i else n_out
            odd = (heights[i] % 2, breadths[i] % 2)
            seen = before * (2 if skips and i < depth - 1 else 1)
            layers: list[nn.Module] = [nn.ReLU(), nn.ConvTranspose2d(seen, after, 4, 2, 1)]
            layers += [_Crop(odd)] if any(odd) else []
            layers += [nn.BatchNorm2d(after, track_running_stats=False)] if i else [nn.Tanh()]
            self.up.append(nn.Sequential(*layers))
            before = after
        init_normal(self)

    def forward(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Noise of dropout is drawn from `rng`."""
        maps = []
        for layer in self.down:
            x = layer(x)
            maps.append(x)
        for i, layer in enumerate(self.up):
            if i and self.skips:
                x = torch.cat([x, maps[-1 - i]], 1)
            x = layer(x)
            if self.dropout and i < min(3, len(self.up) - 1):
                keep = torch.rand(x.shape, generator=rng, device=x.device) >= self.dropout
                x = x * keep / (1 - self.dropout)
        return x


class _Crop(nn.Module):
    """Takes the last row or column off, where the map on the way down was of odd size."""

    def __init__(self, odd: tuple[int, int]) -> None:
        super().__init__()
        self.odd = odd

    def forward(self, x: Tensor) -> Tensor:
        return x[..., : x.shape[-2] - self.odd[0], : x.shape[-1] - self.odd[1]]


class PatchJudge(nn.Module):
    """Logits of overlapping patches: (B, C, H, W) -> (B, P). `layers` 0, 1, 2, 3 see 4, 16, 34, 70 pixels a side."""

    def __init__(self, n_in: int, width: int, layers: int, norm: type[nn.Module] | None = nn.BatchNorm2d) -> None:
        super().__init__()
        body: list[nn.Module] = [nn.Conv2d(n_in, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        before = width
        for i in range(1, layers + 1):
            after = width * min(2**i, 8)
            stride = 2 if i < layers else 1
            made = [norm(after)] if norm is not None else []
            body += [nn.Conv2d(before, after, 4, stride, 1), *made, nn.LeakyReLU(0.2)]
            before = after
        self.body = nn.Sequential(*body, nn.Conv2d(before, 1, 4 if layers else 1, 1, 1 if layers else 0))
        init_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out.flatten(1)


class Residual(nn.Module):
    """x + conv(relu(conv(x))), instance-normed, with reflected borders: (B, F, H, W) -> (B, F, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return x + out


def residual_translator(n_in: int, n_out: int, sides: tuple[int, int], width: int, blocks: int) -> nn.Sequential:
    """CycleGAN's generator: two convolutions of stride 2, residual blocks, two back up: (B, C1, H, W) -> (B, C2, H, W).

    Below 16 pixels it does not shrink. Raises `NotApplicable` for sides above that are no multiple of 4.
    """
    shrink = min(sides) >= 16
    if shrink and (sides[0] % 4 or sides[1] % 4):
        raise NotApplicable(f"a residual translator halves images twice; {sides} is no multiple of 4")
    border, kernel = (3, 7) if shrink else (1, 3)
    layers: list[nn.Module] = [nn.ReflectionPad2d(border), nn.Conv2d(n_in, width, kernel)]
    layers += [nn.InstanceNorm2d(width), nn.ReLU()]
    for _ in range(2 if shrink else 0):
        layers += [nn.Conv2d(width, 2 * width, 3, 2, 1), nn.InstanceNorm2d(2 * width), nn.ReLU()]
        width *= 2
    layers += [Residual(width) for _ in range(blocks)]
    for _ in range(2 if shrink else 0):
        layers += [nn.ConvTranspose2d(width, width // 2, 3, 2, 1, output_padding=1)]
        layers += [nn.InstanceNorm2d(width // 2), nn.ReLU()]
        width //= 2
    made = nn.Sequential(*layers, nn.ReflectionPad2d(border), nn.Conv2d(width, n_out, kernel), nn.Tanh())
    init_normal(made)
    return made


class SRResNet(nn.Module):
    """Residual blocks at low resolution, then pixel shuffles: (B, C, h, w) -> (B, C, f h, f w), f a power of 2."""

    def __init__(self, n_channels: int, factor: int, width: int, blocks: int) -> None:
        super().__init__()
        if factor < 2 or factor & (factor - 1):
            raise NotApplicable(f"images are made larger by 2, 4, 8, ...; got {factor}")
        self.first = nn.Sequential(nn.Conv2d(n_channels, width, 9, padding=4), nn.PReLU())
        self.blocks = nn.Sequential(
            *(SRBlock(width) for _ in range(blocks)), nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        )
        ups: list[nn.Module] = []
        for _ in range(factor.bit_length() - 1):
            ups += [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU()]
        self.last = nn.Sequential(*ups, nn.Conv2d(width, n_channels, 9, padding=4), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        low: Tensor = self.first(x)
        out: Tensor = self.last(low + self.blocks(low))
        return out


class SRBlock(nn.Module):
    """x + bn(conv(prelu(bn(conv(x))))): (B, F, h, w) -> (B, F, h, w)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.PReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return x + out


def init_normal(module: nn.Module) -> None:
    """Weights of convolutions N(0, 0.02), gains of norms N(1, 0.02), biases zero, in place."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(m.weight, 0.0, 0.02)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.BatchNorm2d) and m.affine:
            nn.init.normal_(m.weight, 1.0, 0.02)
            nn.init.zeros_(m.bias)
