"""The default pair of networks for any event, so that objectives are compared on equal networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import nn

from ganbench.data import DataSpec
from ganbench.errors import NotApplicable
from ganbench.nn.architectures import NAMED, named_discriminator, named_generator
from ganbench.nn.dcgan import (
    DENSE,
    DCGANDiscriminator,
    DCGANGenerator,
    all_conv_discriminator,
    all_conv_generator,
)
from ganbench.nn.mlp import mlp_discriminator, mlp_generator


class Sizes(Protocol):
    """The fields of a GAN's config that size its networks."""

    @property
    def batch_size(self) -> int: ...
    @property
    def latent_dim(self) -> int: ...
    @property
    def architecture(self) -> str: ...
    @property
    def hidden(self) -> Sequence[int]: ...
    @property
    def width(self) -> int: ...


def _conv(spec: DataSpec, config: Sizes) -> bool:
    if config.architecture in NAMED:
        raise NotApplicable(
            f"architecture={config.architecture!r} is a generator and a discriminator of images with their own norms; "
            f"for encoders, joint discriminators and other norms use auto, mlp or conv"
        )
    large = spec.is_image and spec.event_shape[1] >= 16
    return config.architecture == "conv" or (config.architecture == "auto" and large)


def batch_norm(spec: DataSpec, config: Sizes) -> Callable[[int], nn.Module]:
    """The batch norm that fits the default networks for this data."""
    return nn.BatchNorm2d if _conv(spec, config) else nn.BatchNorm1d


def generator_norm(spec: DataSpec, config: Sizes) -> Callable[[int], nn.Module] | None:
    """Batch norm for generators of images in adversarial games, without which they collapse to one point.

    None on vectors, and for a paper's network that the config names. Raises `NotApplicable` for batches of one.
    """
    if not spec.is_image or config.architecture in NAMED:
        return None
    if config.batch_size < 2:
        raise NotApplicable(f"batch norm in generators of images needs batches of 2 or more; got {config.batch_size}")
    return batch_norm(spec, config)


def make_generator(
    spec: DataSpec, config: Sizes, norm: Callable[[int], nn.Module] | None = None, *, dense: bool = True
) -> nn.Module:
    """(B, Z) -> (B, *E): a DCGAN generator, batch-normed by default, on images of 16 pixels and more; else an MLP.

    A config may name a paper's network instead (`ganbench.nn.architectures`), whose norms are its own. On 28x28 pixels
    a DCGAN has a `dense` hidden layer in both networks, and a pair without it collapses less easily.
    """
    if config.architecture in NAMED and norm is None:
        return named_generator(spec, config.architecture, config.latent_dim, config.width)
    if _conv(spec, config):
        norm = norm or nn.BatchNorm2d
        if not dense and spec.event_shape[1] in DENSE:
            return all_conv_generator(spec, config.latent_dim, config.width, norm)
        return DCGANGenerator(spec, config.latent_dim, config.width, norm)
    return mlp_generator(spec, config.latent_dim, config.hidden, norm=norm)


def make_discriminator(
    spec: DataSpec,
    config: Sizes,
    norm: Callable[[int], nn.Module] | None = None,
    *,
    coupled: bool = False,
    dense: bool = True,
) -> DCGANDiscriminator | nn.Module:
    """(B, *E) -> (B,) logits or scores, with `.features(x)`; without norms, so that penalties per example hold.

    `coupled` says that no such penalty is used: convolutions are batch-normed then, as DCGAN's and those of a paper
    that the config names. Without them generators of images collapse to one point (Radford et al. 2016, section 3),
    on 28x28 pixels unless both networks go without `dense` hidden layers.
    """
    if config.architecture in NAMED and norm is None:
        return named_discriminator(spec, config.architecture, config.width, coupled)
    if _conv(spec, config):
        norm = norm or (nn.BatchNorm2d if coupled else None)
        if not dense and spec.event_shape[1] in DENSE:
            return all_conv_discriminator(spec, config.width, norm)
        return DCGANDiscriminator(spec, config.width, norm)
    return mlp_discriminator(spec, config.hidden, norm=norm)
