"""Networks from images to images: U-Net, residual translator, super-resolution; judges of patches, a pool of fakes.

Source      Isola et al. 2017 (arXiv:1611.07004, appendix 6.1), Zhu et al. 2017 (arXiv:1703.10593, section 4),
            Ledig et al. 2017 (arXiv:1609.04802, figure 4).
Departures  1. Depths follow the image: a U-Net halves down to 2 pixels; a translator does not shrink below 16.
            2. Where the papers norm batches of one image, each example is normed alone, in batches of any size.
            3. SRResNet ends in a tanh, which keeps its images in their range.
Shapes      B batch, C channels, H, W sides of the image, F filters, P patches, S places in a pool, *E event.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganbench.errors import NotApplicable


def instance_norm(width: int) -> nn.Module:
    """Each map of each example by its own mean and variance, then a learned gain and offset."""
    return nn.InstanceNorm2d(width, affine=True)


def halvings(side: int) -> list[int]:
    """Sides of the maps from the image down to 2 pixels, each half of the last, rounded up: 28, 14, 7, 4, 2."""
    sides = [side]
    while sides[-1] > 2:
        sides.append((sides[-1] + 1) // 2)
    return sides


class UNet(nn.Module):
    """Strided convolutions down, transposed ones up, each of the latter seeing the map of its size from the way down.

    Dropout acts in the innermost three layers up but never in the last, in training and afterwards: it is the noise.
    Norms are of each example alone, so that an output does not depend on its batch. (B, C1, H, W) -> (B, C2, H, W).
    Raises `NotApplicable` for sides below 3.
    """

    def __init__(
        self, n_in: int, n_out: int, sides: tuple[int, int], width: int, *, dropout: float = 0.5, skips: bool = True
    ) -> None:
        super().__init__()
        if min(sides) < 3:
            raise NotApplicable(f"a U-Net halves images of 3 or more pixels a side; got {sides}")
        self.skips, self.dropout = skips, dropout
        heights, breadths = halvings(sides[0]), halvings(sides[1])
        depth = min(len(heights), len(breadths)) - 1
        widths = [width * min(2**i, 8) for i in range(depth)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, after in enumerate(widths):
            border = (1 + heights[i] % 2, 1 + breadths[i] % 2)  # so that odd sides are halved upwards
            act = [nn.LeakyReLU(0.2)] if i else []
            norm = [instance_norm(after)] if 0 < i < depth - 1 else []  # none on the image, none on the innermost map
            self.down.append(nn.Sequential(*act, nn.Conv2d(widths[i - 1] if i else n_in, after, 4, 2, border), *norm))
        for i in reversed(range(depth)):
            odd = (heights[i] % 2, breadths[i] % 2)
            border = (1 + odd[0], 1 + odd[1])
            seen = widths[i] * (2 if skips and i < depth - 1 else 1)
            conv = nn.ConvTranspose2d(seen, widths[i - 1] if i else n_out, 4, 2, border, output_padding=odd)
            self.up.append(nn.Sequential(nn.ReLU(), conv, instance_norm(widths[i - 1]) if i else nn.Tanh()))
        init_normal(self)

    def forward(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Dropout is drawn from `rng`."""
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


class PatchJudge(nn.Module):
    """Logits of overlapping patches: (B, C, H, W) -> (B, P). `layers` 0, 1, 2, 3 see 1, 16, 34, 70 pixels a side.

    Raises `NotApplicable` for images that are too small for so many layers.
    """

    def __init__(
        self,
        n_in: int,
        sides: tuple[int, int],
        width: int,
        layers: int,
        norm: Callable[[int], nn.Module] = nn.InstanceNorm2d,
    ) -> None:
        super().__init__()
        if layers and min(sides) // 2**layers < 3:
            raise NotApplicable(
                f"a judge of patches with {layers} strided layers takes images of {3 * 2**layers} or more pixels a "
                f"side; got {sides}"
            )
        kernel, stride, border = (4, 2, 1) if layers else (1, 1, 0)
        body: list[nn.Module] = [nn.Conv2d(n_in, width, kernel, stride, border), nn.LeakyReLU(0.2)]
        before = width
        for i in range(1, max(layers, 1) + 1):
            after, stride = width * min(2**i, 8), 2 if i < layers else 1
            body += [nn.Conv2d(before, after, kernel, stride, border), norm(after), nn.LeakyReLU(0.2)]
            before = after
        self.body = nn.Sequential(*body, nn.Conv2d(before, 1, kernel, 1, border))
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

    Below 16 pixels a side it does not shrink, and its outer kernels are 3x3 instead of 7x7. Raises `NotApplicable` for
    sides below 2.
    """
    if min(sides) < 2:
        raise NotApplicable(f"a residual translator reflects borders of images of 2 or more pixels a side; got {sides}")
    shrink = min(sides) >= 16
    border, kernel = (3, 7) if shrink else (1, 3)
    layers: list[nn.Module] = [nn.ReflectionPad2d(border), nn.Conv2d(n_in, width, kernel)]
    layers += [nn.InstanceNorm2d(width), nn.ReLU()]
    left: list[tuple[int, int]] = []  # the sides that the way up comes back to
    for _ in range(2 if shrink else 0):
        layers += [nn.Conv2d(width, 2 * width, 3, 2, 1), nn.InstanceNorm2d(2 * width), nn.ReLU()]
        left.append(sides)
        sides, width = ((sides[0] + 1) // 2, (sides[1] + 1) // 2), 2 * width
    layers += [Residual(width) for _ in range(blocks)]
    for height, breadth in reversed(left):
        even = (1 - height % 2, 1 - breadth % 2)
        layers += [nn.ConvTranspose2d(width, width // 2, 3, 2, 1, output_padding=even)]
        layers += [nn.InstanceNorm2d(width // 2), nn.ReLU()]
        width //= 2
    made = nn.Sequential(*layers, nn.ReflectionPad2d(border), nn.Conv2d(width, n_out, kernel), nn.Tanh())
    init_normal(made)
    return made


class ImagePool(nn.Module):
    """The last fakes, in buffers: judges see each fresh one, or half of the time an older one whose place it takes.

    Until the pool is full, fresh ones are kept and seen (Shrivastava et al. 2017, as in the authors' code).
    """

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.images: Tensor
        self.count: Tensor
        self.register_buffer("images", torch.zeros(size, *shape))  # (S, *E)
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def mix(self, fakes: Tensor, rng: torch.Generator) -> Tensor:
        """What judges see in place of these, which the pool takes in: (B, *E) -> (B, *E), B at most S unless S is 0."""
        n, size = len(fakes), len(self.images)
        if not size:
            return fakes
        places = torch.arange(size, device=fakes.device)
        free = self.count + places[:n]
        filling = free < size
        # Distinct filled places for the images past the free ones, which are the last of the batch, hence the flip.
        order = torch.rand(size, generator=rng, device=fakes.device).masked_fill(places >= self.count, -1)
        place = torch.where(filling, free, order.argsort(descending=True)[:n].flip(0))
        change = torch.rand(n, generator=rng, device=fakes.device) < 0.5
        old = self.images[place]
        wide = (-1, *[1] * (fakes.ndim - 1))
        self.images[place] = torch.where((filling | change).view(wide), fakes, old)
        self.count.copy_((self.count + n).clamp(max=size))
        return torch.where((~filling & change).view(wide), old, fakes)


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


def srgan_judge(n_channels: int, sides: tuple[int, int], width: int) -> nn.Sequential:
    """SRGAN's discriminator, one logit an image: (B, C, H, W) -> (B, 1).

    Pairs of 3x3 convolutions, the second of stride 2, down to 4 pixels a side but at most four; then two dense layers.
    """
    layers: list[nn.Module] = [nn.Conv2d(n_channels, width, 3, 1, 1), nn.LeakyReLU(0.2)]
    before = width
    for i in range(4):
        layers += [nn.Conv2d(before, before, 3, 2, 1), nn.BatchNorm2d(before), nn.LeakyReLU(0.2)]
        sides = ((sides[0] + 1) // 2, (sides[1] + 1) // 2)
        if max(sides) <= 4 or i == 3:
            break
        layers += [nn.Conv2d(before, 2 * before, 3, 1, 1), nn.BatchNorm2d(2 * before), nn.LeakyReLU(0.2)]
        before *= 2
    dense = [nn.Linear(before * sides[0] * sides[1], 16 * width), nn.LeakyReLU(0.2), nn.Linear(16 * width, 1)]
    return nn.Sequential(*layers, nn.Flatten(), *dense)


def init_normal(module: nn.Module) -> None:
    """Weights of convolutions N(0, 0.02), gains of norms N(1, 0.02), biases zero, in place."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(m.weight, 0.0, 0.02)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.BatchNorm2d | nn.InstanceNorm2d) and m.affine:
            nn.init.normal_(m.weight, 1.0, 0.02)
            nn.init.zeros_(m.bias)
