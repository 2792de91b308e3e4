"""Image networks that papers compare, by the name a config's `architecture` asks for: generator and discriminator.

Robustness  `baseline`, `constant_width`, `dense_generator`, `no_norm`, `gated`, `tanh` and `resnet` are the pairs of
            Gulrajani et al. 2017 (WGAN-GP, arXiv:1704.00028), figure 2, read in the authors' code. Their images have 64
            pixels; those of 28 (and 32) here start at the same 4x4 map and have one resolution fewer, so that the
            residual networks of 101 layers have 80 (101 at 64 pixels).
Stacked     `stacked` is the DCGAN of VEEGAN's and PacGAN's stacked MNIST, `stacked_half` and `stacked_quarter` are the
            pairs of unrolled GANs, with the discriminator a half and a quarter of the generator's size; read in
            PacGAN's code (arXiv:1712.04086). Their widths are fixed.
Norms       The generator's are batch norms. The discriminator's are too where the examples of a batch may be coupled;
            else, as for a penalty on each example's gradient, a layer norm over channels and pixels.
Shapes      B batch, Z latent, C channels, W width (filters next to the image), F features.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from ganbench.data import DataSpec
from ganbench.errors import NotApplicable
from ganbench.nn.dcgan import dcgan_init
from ganbench.nn.linear import Linear

Robustness = Literal["baseline", "constant_width", "dense_generator", "no_norm", "gated", "tanh", "resnet"]
Stacked = Literal["stacked", "stacked_half", "stacked_quarter"]
ROBUSTNESS: tuple[str, ...] = get_args(Robustness)
STACKED: tuple[str, ...] = get_args(Stacked)
NAMED = (*ROBUSTNESS, *STACKED)

SIDES = {28: (4, 7, 14, 28), 32: (4, 8, 16, 32), 64: (4, 8, 16, 32, 64)}  # of the maps, from 4x4 to the image
BLOCKS = 6  # bottlenecks at each resolution of the residual networks, one fewer at the image's

Norm = Callable[[int], nn.Module] | None


def named_generator(spec: DataSpec, name: str, latent_dim: int, width: int) -> nn.Module:
    """(B, Z) -> (B, C, H, H) through tanh. Raises `NotApplicable` for events that the network cannot make."""
    sides, channels = _sides(spec, name), spec.event_shape[0]
    widths = [width * 2**i for i in reversed(range(len(sides) - 1))]  # widest at 4x4
    made: nn.Module
    match name:
        case "constant_width":
            made = ConvGenerator(latent_dim, sides, [width] * len(widths), channels, norm=None)
        case "dense_generator":
            made = _dense(latent_dim, spec)
        case "no_norm":
            made = ConvGenerator(latent_dim, sides, widths, channels, norm=None)
        case "gated":
            made = ConvGenerator(latent_dim, sides, widths, channels, activation=Gate)
        case "tanh":
            made = ConvGenerator(latent_dim, sides, widths, channels, activation=nn.Tanh)
        case "resnet":
            made = ResidualGenerator(latent_dim, sides, [*widths, max(1, width // 2)], channels)
        case "stacked":
            made = ConvGenerator(latent_dim, (2, 4, 7, 14, 28), (512, 256, 128, 64), channels)
        case "stacked_half" | "stacked_quarter":
            made = ConvGenerator(latent_dim, sides, (64, 32, 16), channels, kernel=3, last=8)
        case _:
            made = ConvGenerator(latent_dim, sides, widths, channels)
    return _initialised(made, name)


def named_discriminator(spec: DataSpec, name: str, width: int, coupled: bool) -> nn.Module:
    """(B, C, H, H) -> (B,) logits or scores, with `.features(x)`; batch norm only where examples may be `coupled`."""
    sides, channels = _sides(spec, name), spec.event_shape[0]
    norm: Norm = nn.BatchNorm2d if coupled else ExampleNorm
    widths = [width * 2**i for i in range(len(sides) - 1)]  # narrowest next to the image
    down = sides[::-1]
    made: nn.Module
    match name:
        case "no_norm":
            made = ConvDiscriminator(down, widths, channels, norm=None)
        case "gated":
            made = ConvDiscriminator(down, widths, channels, norm=norm, activation=Gate)
        case "tanh":
            made = ConvDiscriminator(down, widths, channels, norm=norm, activation=nn.Tanh)
        case "resnet":
            made = ResidualDiscriminator(down, [max(1, width // 2), *widths], channels, norm)
        case "stacked":
            made = ConvDiscriminator((28, 14, 7, 4, 2), (64, 128, 256, 512), channels, norm=norm)
        case "stacked_half" | "stacked_quarter":
            first = 4 if name == "stacked_half" else 2
            small = (first, 2 * first, 4 * first)
            made = ConvDiscriminator(down, small, channels, norm=norm, kernel=3, norm_from=0, activation=leaky(0.3))
        case _:
            made = ConvDiscriminator(down, widths, channels, norm=norm)
    # Whatever the generator is, the discriminator of these two is the baseline's.
    return _initialised(made, "baseline" if name in ("constant_width", "dense_generator") else name)


def _sides(spec: DataSpec, name: str) -> tuple[int, ...]:
    shape = spec.event_shape
    fits = SIDES if name in ROBUSTNESS else {28: SIDES[28]}
    if not spec.is_image or shape[1] != shape[2] or shape[1] not in fits:
        sizes = " or ".join(map(str, fits))
        raise NotApplicable(
            f"architecture={name!r} takes square images of {sizes} pixels a side; {spec.name} has {shape}; "
            f"use architecture='auto'"
        )
    return fits[shape[1]]


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


def leaky(slope: float) -> Callable[[], nn.Module]:
    """Makes leaky ReLUs of this slope."""
    return lambda: nn.LeakyReLU(slope)


def _normed(norm: Norm, width: int) -> list[nn.Module]:
    return [] if norm is None else [norm(width)]


def _up(n_in: int, n_out: int, side: int, to: int, kernel: int) -> nn.ConvTranspose2d:
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
        layers += [*_normed(norm, start[0]), activation()]
        maps = [*widths, *([last] if last else [])]
        for (before, after), (side, to) in zip(itertools.pairwise(maps), itertools.pairwise(sides), strict=False):
            layers += [_up(before, each * after, side, to, kernel), *_normed(norm, each * after), activation()]
        if last:
            layers += [nn.Conv2d(last, n_channels, kernel, padding=kernel // 2)]
        else:
            layers += [_up(maps[-1], n_channels, sides[-2], sides[-1], kernel)]
        self.body = nn.Sequential(*layers, nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.body(z)
        return out


class _Judge(nn.Module):
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


class ConvDiscriminator(_Judge):
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
            layers += [*_normed(norm if i >= norm_from else None, each * after), activation()]
        self.body = nn.Sequential(*layers)
        self.n_features = widths[-1] * sides[-1] ** 2
        self.head = Linear(self.n_features, 1)


class Bottleneck(nn.Module):
    """x -> shortcut(x) + 0.3 norm(1x1, kxk, 1x1 convolutions of ReLUs), which may change channels and resolution."""

    def __init__(self, n_in: int, n_out: int, side: int, to: int, norm: Norm) -> None:
        super().__init__()
        inner, outer = max(1, n_in // 2), max(1, n_out // 2)
        self.side = to
        self.shortcut: nn.Module = nn.Identity()
        if to > side:
            middle: nn.Module = _up(inner, outer, side, to, 3)
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, 4 * n_out, 1), nn.PixelShuffle(2))
        elif to < side:
            middle = nn.Conv2d(inner, outer, 3, 2, 1)
            self.shortcut = nn.Conv2d(n_in, n_out, 1, 2)
        else:
            middle = nn.Conv2d(inner, outer, 3, padding=1)
        self.branch = nn.Sequential(
            nn.ReLU(), nn.Conv2d(n_in, inner, 1), nn.ReLU(), middle, nn.ReLU(), nn.Conv2d(outer, n_out, 1, bias=False),
            *_normed(norm, n_out),
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


class ResidualDiscriminator(_Judge):
    """A 1x1 convolution, bottlenecks and a linear head."""

    def __init__(self, sides: Sequence[int], widths: Sequence[int], n_channels: int, norm: Norm) -> None:
        super().__init__()
        first = nn.Conv2d(n_channels, widths[0], 1)
        self.body = nn.Sequential(first, *_bottlenecks(sides, widths, norm, sides[0]))
        self.n_features = widths[-1] * sides[-1] ** 2
        self.head = Linear(self.n_features, 1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 5


def _dense(latent_dim: int, spec: DataSpec) -> nn.Module:
    """Four hidden layers of 512 ReLUs: (B, Z) -> (B, C, H, H)."""
    layers: list[nn.Module] = []
    for n_in in (latent_dim, 512, 512, 512):
        layers += [Linear(n_in, 512), nn.ReLU()]
    return nn.Sequential(*layers, Linear(512, spec.n_dims), nn.Unflatten(1, spec.event_shape), nn.Tanh())


def _initialised(module: nn.Module, name: str) -> nn.Module:
    """N(0, 0.02) for the DCGANs, He's uniform weights for the others; biases zero."""
    if name in ("baseline", "no_norm", "tanh", *STACKED):
        dcgan_init(module)
        return module
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return module
