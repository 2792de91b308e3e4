"""The DCGAN pair for images of any sides from 8 to 256 pixels, square or not.

Source      Radford et al. 2016, "Unsupervised Representation Learning with DCGANs", section 3; weights N(0, 0.02). At
            28x28 pixels a dense layer of 1,024 units stands before the first map and after the last, as in the authors'
            code for MNIST: two layers of convolutions see strokes, not digits. The pair without it, for squares of 28,
            32 and 64 pixels, starts at 4x4, as in the code of Gulrajani et al. 2017 (WGAN-GP).
Shapes      B batch, Z latent, C channels, H, W sides of the image, D width (filters next to the image), F features.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from torch import Tensor, nn

from ganbench.data import DataSpec
from ganbench.errors import NotApplicable
from ganbench.nn.linear import Linear
from ganbench.nn.strided import ConvDiscriminator, ConvGenerator, Judge, Norm, normed

LEAST, MOST = 8, 256  # pixels of a side
WIDEST = 8  # times the width: maps get no more filters than that
DENSE: dict[tuple[int, ...], int] = {(28, 28): 1024}  # sides of the image -> width of the dense hidden layer
ALL_CONV = {28: (4, 7, 14, 28), 32: (4, 8, 16, 32), 64: (4, 8, 16, 32, 64)}  # the maps of the pair without it

Sides = tuple[int, int]


def map_sides(spec: DataSpec) -> list[Sides]:
    """(H, W) of the maps from the smallest to the image, each half of the next, rounded down.

    The image's smaller side is halved until 4 to 7 pixels are left, and twice where it is below 16. Raises
    `NotApplicable` for images that are too small or too large.
    """
    h, w = spec.event_shape[1:] if spec.is_image else (0, 0)
    if min(h, w) < LEAST or max(h, w) > MOST:
        raise NotApplicable(f"a DCGAN takes images with sides of {LEAST} to {MOST}; {spec.name} has {spec.event_shape}")
    halvings = max(2, min(h, w).bit_length() - 3)
    return [(h >> k, w >> k) for k in range(halvings, -1, -1)]


def _widths(width: int, n: int) -> list[int]:
    """Filters of n maps, from those next to the image on."""
    return [width * min(2**i, WIDEST) for i in range(n)]


class DCGANGenerator(nn.Module):
    """Projection, then 4x4 transposed convolutions of stride 2 with ReLU, tanh out: (B, Z) -> (B, C, H, W)."""

    def __init__(
        self, spec: DataSpec, latent_dim: int, width: int = 64, norm: Callable[[int], nn.Module] | None = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        sides = map_sides(spec)
        channels = _widths(width, len(sides) - 1)[::-1]  # widest at the smallest map
        self.start = (channels[0], *sides[0])
        n_in, dense, layers = latent_dim, DENSE.get(sides[-1]), list[nn.Module]()
        if dense:
            layers += [Linear(n_in, dense, bias=norm is None), *_flat(norm, dense), nn.ReLU()]
            n_in = dense
        layers += [Linear(n_in, math.prod(self.start), bias=norm is None), nn.Unflatten(1, self.start)]
        layers += [*normed(norm, channels[0]), nn.ReLU()]
        more = [(to[0] % 2, to[1] % 2) for to in sides[1:]]  # a map of odd side has one pixel more than twice the last
        for (before, after), odd in zip(itertools.pairwise(channels), more, strict=False):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, odd, bias=norm is None)]
            layers += [*normed(norm, after), nn.ReLU()]
        layers += [nn.ConvTranspose2d(channels[-1], spec.event_shape[0], 4, 2, 1, more[-1]), nn.Tanh()]
        self.body = nn.Sequential(*layers)
        dcgan_init(self)

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.body(z)
        return out


class DCGANDiscriminator(Judge):
    """4x4 convolutions of stride 2 with LeakyReLU(0.2), no norm on the first: (B, C, H, W) -> (B,) logits."""

    def __init__(
        self, spec: DataSpec, width: int = 64, norm: Callable[[int], nn.Module] | None = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        layers, self.n_features = convolutions(spec, width, norm)
        if dense := DENSE.get(spec.event_shape[1:]):
            layers += [nn.Flatten(), Linear(self.n_features, dense, bias=norm is None)]
            layers += [*_flat(norm, dense), nn.LeakyReLU(0.2)]
            self.n_features = dense
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(self.n_features, 1)
        dcgan_init(self)


def convolutions(spec: DataSpec, width: int, norm: Norm) -> tuple[list[nn.Module], int]:
    """Those of the discriminator, (B, C, H, W) -> its smallest maps, and the number of features in these."""
    sides = map_sides(spec)
    layers: list[nn.Module] = []
    channels = [spec.event_shape[0], *_widths(width, len(sides) - 1)]
    for i, (before, after) in enumerate(itertools.pairwise(channels)):
        with_norm = norm is not None and i > 0
        layers += [nn.Conv2d(before, after, 4, 2, 1, bias=not with_norm)]
        layers += [*normed(norm if with_norm else None, after), nn.LeakyReLU(0.2)]
    return layers, channels[-1] * math.prod(sides[0])


def all_conv_generator(spec: DataSpec, latent_dim: int, width: int, norm: Norm) -> ConvGenerator:
    """5x5 transposed convolutions of stride 2 on a projection to 4x4 maps: (B, Z) -> (B, C, H, H)."""
    sides = ALL_CONV[spec.event_shape[1]]
    widths = [width * 2**i for i in reversed(range(len(sides) - 1))]  # widest at 4x4
    made = ConvGenerator(latent_dim, sides, widths, spec.event_shape[0], norm=norm)
    dcgan_init(made)
    return made


def all_conv_discriminator(spec: DataSpec, width: int, norm: Norm) -> ConvDiscriminator:
    """5x5 convolutions of stride 2 down to 4x4 maps, the first not normed, and a linear head: (B, C, H, H) -> (B,)."""
    sides = ALL_CONV[spec.event_shape[1]][::-1]
    widths = [width * 2**i for i in range(len(sides) - 1)]  # narrowest next to the image
    made = ConvDiscriminator(sides, widths, spec.event_shape[0], norm=norm)
    dcgan_init(made)
    return made


def _flat(norm: Callable[[int], nn.Module] | None, width: int) -> list[nn.Module]:
    """The norm of a dense layer, where maps have this one."""
    return [] if norm is None else [nn.BatchNorm1d(width) if norm is nn.BatchNorm2d else norm(width)]


def dcgan_init(module: nn.Module) -> None:
    """Weights N(0, 0.02), batch-norm gains N(1, 0.02), biases zero, in place."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(m.weight, 0.0, 0.02)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(m.weight, 1.0, 0.02)
            nn.init.zeros_(m.bias)
