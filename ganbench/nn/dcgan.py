"""The DCGAN pair for square images of 8, 16, 28, 32 or 64 pixels.

Source      Radford et al. 2016, "Unsupervised Representation Learning with DCGANs", section 3; weights N(0, 0.02). At
            28 pixels a dense layer of 1,024 units stands before the first map and after the last, as in the authors'
            code for MNIST: two layers of convolutions see strokes, not digits. The pair without it, for squares of 28,
            32 and 64 pixels, starts at 4x4, as in the code of Gulrajani et al. 2017 (WGAN-GP).
Shapes      B batch, Z latent, C channels, W width (filters next to the image), F features.
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

# Image side -> sides of the feature maps from the latent's projection to the image, each twice the last.
SIDES = {8: (2, 4, 8), 16: (4, 8, 16), 28: (7, 14, 28), 32: (4, 8, 16, 32), 64: (4, 8, 16, 32, 64)}

DENSE = {28: 1024}  # image side -> width of the dense hidden layer
ALL_CONV = {28: (4, 7, 14, 28), 32: SIDES[32], 64: SIDES[64]}  # the maps of the pair without it, from 4x4 on


def _sides(spec: DataSpec) -> tuple[int, ...]:
    if not spec.is_image or spec.event_shape[1] != spec.event_shape[2] or spec.event_shape[1] not in SIDES:
        raise NotApplicable(
            f"a DCGAN takes square images of side {', '.join(map(str, SIDES))}; {spec.name} has {spec.event_shape}"
        )
    return SIDES[spec.event_shape[1]]


class DCGANGenerator(nn.Module):
    """Projection, then 4x4 transposed convolutions of stride 2 with ReLU, tanh out: (B, Z) -> (B, C, H, H)."""

    def __init__(
        self, spec: DataSpec, latent_dim: int, width: int = 64, norm: Callable[[int], nn.Module] | None = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        sides = _sides(spec)
        n = len(sides) - 1
        channels = [width * 2 ** (n - 1 - i) for i in range(n)]  # widest at the smallest map
        self.start = (channels[0], sides[0], sides[0])
        n_in, dense, layers = latent_dim, DENSE.get(sides[-1]), list[nn.Module]()
        if dense:
            layers += [Linear(n_in, dense, bias=norm is None), *_flat(norm, dense), nn.ReLU()]
            n_in = dense
        layers += [Linear(n_in, math.prod(self.start), bias=norm is None), nn.Unflatten(1, self.start)]
        layers += [*normed(norm, channels[0]), nn.ReLU()]
        for before, after in itertools.pairwise(channels):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=norm is None)]
            layers += [*normed(norm, after), nn.ReLU()]
        layers += [nn.ConvTranspose2d(channels[-1], spec.event_shape[0], 4, 2, 1), nn.Tanh()]
        self.body = nn.Sequential(*layers)
        dcgan_init(self)

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.body(z)
        return out


class DCGANDiscriminator(Judge):
    """4x4 convolutions of stride 2 with LeakyReLU(0.2), no norm on the first: (B, C, H, H) -> (B,) logits."""

    def __init__(
        self, spec: DataSpec, width: int = 64, norm: Callable[[int], nn.Module] | None = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        sides = _sides(spec)
        layers: list[nn.Module] = []
        before, after = spec.event_shape[0], width
        for i in range(len(sides) - 1):
            with_norm = norm is not None and i > 0
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=not with_norm)]
            layers += [*normed(norm if with_norm else None, after), nn.LeakyReLU(0.2)]
            before, after = after, after * 2
        self.n_features = before * sides[0] ** 2
        if dense := DENSE.get(sides[-1]):
            layers += [nn.Flatten(), Linear(self.n_features, dense, bias=norm is None)]
            layers += [*_flat(norm, dense), nn.LeakyReLU(0.2)]
            self.n_features = dense
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(self.n_features, 1)
        dcgan_init(self)


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
