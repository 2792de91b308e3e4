"""Image networks that papers compare, by the name a config's `architecture` asks for: generator and discriminator.

Robustness  `baseline`, `constant_width`, `dense_generator`, `no_norm`, `gated`, `tanh` and `resnet` are the pairs of
            Gulrajani et al. 2017 (WGAN-GP, arXiv:1704.00028), figure 2, read in the authors' code. Their images have 64
            pixels; those of 28 (and 32) here start at the same 4x4 map and have one resolution fewer, so that the
            residual networks of 101 layers have 80 (101 at 64 pixels).
Stacked     `stacked` is the DCGAN of VEEGAN's and PacGAN's stacked MNIST, `stacked_half` and `stacked_quarter` are the
            pairs of unrolled GANs, with the discriminator a half and a quarter of the generator's size; read in
            PacGAN's code (arXiv:1712.04086). Their widths are fixed.
Residual    `resnet32` is WGAN-GP's pair for CIFAR-10, of fixed width; its critic has no norm, whatever the loss.
Norms       The generator's are batch norms. The discriminator's are too where the examples of a batch may be coupled;
            else, as for a penalty on each example's gradient, a layer norm over channels and pixels.
Shapes      B batch, Z latent, C channels, W width (filters next to the image), F features.
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

from ganbench.data import DataSpec
from ganbench.errors import NotApplicable
from ganbench.nn.dcgan import ALL_CONV, all_conv_discriminator, all_conv_generator, dcgan_init
from ganbench.nn.linear import Linear
from ganbench.nn.residual import ResidualDiscriminator, ResidualGenerator
from ganbench.nn.residual32 import ResidualCritic32, ResidualGenerator32
from ganbench.nn.strided import ConvDiscriminator, ConvGenerator, ExampleNorm, Gate, Norm

Robustness = Literal["baseline", "constant_width", "dense_generator", "no_norm", "gated", "tanh", "resnet"]
Stacked = Literal["stacked", "stacked_half", "stacked_quarter"]
ROBUSTNESS: tuple[str, ...] = get_args(Robustness)
STACKED: tuple[str, ...] = get_args(Stacked)
Residual = Literal["resnet32"]
NAMED = (*ROBUSTNESS, *STACKED, *get_args(Residual))


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
            return all_conv_generator(spec, latent_dim, width, norm=None)
        case "gated":
            made = ConvGenerator(latent_dim, sides, widths, channels, activation=Gate)
        case "tanh":
            made = ConvGenerator(latent_dim, sides, widths, channels, activation=nn.Tanh)
        case "resnet":
            made = ResidualGenerator(latent_dim, sides, [*widths, max(1, width // 2)], channels)
        case "resnet32":
            return ResidualGenerator32(latent_dim, channels)
        case "stacked":
            made = ConvGenerator(latent_dim, (2, 4, 7, 14, 28), (512, 256, 128, 64), channels)
        case "stacked_half" | "stacked_quarter":
            made = ConvGenerator(latent_dim, sides, (64, 32, 16), channels, kernel=3, last=8)
        case _:
            return all_conv_generator(spec, latent_dim, width, nn.BatchNorm2d)
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
            return all_conv_discriminator(spec, width, norm=None)
        case "gated":
            made = ConvDiscriminator(down, widths, channels, norm=norm, activation=Gate)
        case "tanh":
            made = ConvDiscriminator(down, widths, channels, norm=norm, activation=nn.Tanh)
        case "resnet":
            made = ResidualDiscriminator(down, [max(1, width // 2), *widths], channels, norm)
        case "resnet32":
            return ResidualCritic32(channels)
        case "stacked":
            made = ConvDiscriminator((28, 14, 7, 4, 2), (64, 128, 256, 512), channels, norm=norm)
        case "stacked_half" | "stacked_quarter":
            first = 4 if name == "stacked_half" else 2
            small = (first, 2 * first, 4 * first)
            made = ConvDiscriminator(down, small, channels, norm=norm, kernel=3, norm_from=0, activation=_leaky)
        case _:  # of constant_width and dense_generator too: only their generators differ from the baseline's
            return all_conv_discriminator(spec, width, norm)
    return _initialised(made, name)


def _sides(spec: DataSpec, name: str) -> tuple[int, ...]:
    shape = spec.event_shape
    fits = (
        ALL_CONV if name in ROBUSTNESS else {side: ALL_CONV[side] for side in ((32,) if name == "resnet32" else (28,))}
    )
    if not spec.is_image or shape[1] != shape[2] or shape[1] not in fits:
        sizes = " or ".join(map(str, fits))
        raise NotApplicable(
            f"architecture={name!r} takes square images of {sizes} pixels a side; {spec.name} has {shape}; "
            f"leave architecture at its default"
        )
    return fits[shape[1]]


def _dense(latent_dim: int, spec: DataSpec) -> nn.Module:
    """Four hidden layers of 512 ReLUs: (B, Z) -> (B, C, H, H)."""
    layers: list[nn.Module] = []
    for n_in in (latent_dim, 512, 512, 512):
        layers += [Linear(n_in, 512), nn.ReLU()]
    return nn.Sequential(*layers, Linear(512, spec.n_dims), nn.Unflatten(1, spec.event_shape), nn.Tanh())


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.3)


def _initialised(module: nn.Module, name: str) -> nn.Module:
    """N(0, 0.02) for networks of DCGAN's shape, He's uniform weights for the others; biases zero."""
    if name in ("tanh", *STACKED):
        dcgan_init(module)
        return module
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return module
