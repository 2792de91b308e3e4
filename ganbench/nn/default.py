"""The default pair of networks for any event, so that objectives are compared on equal networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from torch import nn

from ganbench.data import DataSpec
from ganbench.errors import NotApplicable
from ganbench.nn.architectures import NAMED, named_discriminator, named_generator
from ganbench.nn.dcgan import DENSE, DCGANDiscriminator, DCGANGenerator, all_conv_discriminator, all_conv_generator
from ganbench.nn.mlp import mlp_discriminator, mlp_generator
from ganbench.nn.strided import Norm

# The norm in a judge's convolutions. "batch": its loss sees batches as wholes, and without batch norm in the judge
# generators of images collapse to one point (Radford et al. 2016, section 3). "example": its loss has a penalty on the
# gradient of each example, so examples must not interact; layer norm in networks of papers, none in the default ones.
# "none": no norm in the default networks; those of a paper keep their own.
JudgeNorm = Literal["batch", "example", "none"]


class Layers(Protocol):
    """The fields of a config that size its networks."""

    @property
    def architecture(self) -> str: ...
    @property
    def hidden(self) -> Sequence[int]: ...
    @property
    def width(self) -> int: ...


class Sizes(Layers, Protocol):
    """Those of a GAN's."""

    @property
    def batch_size(self) -> int: ...
    @property
    def latent_dim(self) -> int: ...


def _conv(spec: DataSpec, config: Layers) -> bool:
    if config.architecture in NAMED:
        raise NotApplicable(
            f"architecture={config.architecture!r} is a generator and a discriminator of images with their own norms; "
            f"for encoders, joint discriminators and other norms use auto, mlp or conv"
        )
    large = spec.is_image and min(spec.event_shape[1:]) >= 16
    return config.architecture == "conv" or (config.architecture == "auto" and large)


def batch_norm(spec: DataSpec, config: Layers) -> Callable[[int], nn.Module]:
    """The batch norm that fits the default networks for this data."""
    return nn.BatchNorm2d if _conv(spec, config) else nn.BatchNorm1d


def make_pair(
    spec: DataSpec, config: Sizes, judge: JudgeNorm = "batch", *, dense: bool = True, seen: DataSpec | None = None
) -> tuple[nn.Module, nn.Module]:
    """A generator (B, Z) -> (B, *E) and its judge (B, *E) -> (B,), for an adversarial game.

    `judge` names the norm that the loss allows in the judge's convolutions, see `JudgeNorm`. At 28x28 pixels both
    networks have DCGAN's `dense` hidden layers where the judge is batch-normed; some games collapse with them and ask
    for the pair without. `seen` is the judge's event where it is not the generator's, as for packs.
    """
    dense = dense and judge == "batch"
    return adversarial_generator(spec, config, dense=dense), make_judge(seen or spec, config, judge, dense=dense)


def adversarial_generator(spec: DataSpec, config: Sizes, *, dense: bool = True) -> nn.Module:
    """(B, Z) -> (B, *E), batch-normed on images, where adversarial games without it collapse to one point.

    Raises `NotApplicable` for images in batches of one.
    """
    norm: Norm = None
    if spec.is_image and config.architecture not in NAMED:
        if config.batch_size < 2:
            raise NotApplicable(
                f"batch norm in generators of images needs batches of 2 or more; got {config.batch_size}"
            )
        norm = batch_norm(spec, config)
    return make_generator(spec, config, norm, dense=dense)


def make_judge(spec: DataSpec, config: Layers, judge: JudgeNorm = "batch", *, dense: bool = True) -> nn.Module:
    """(B, *E) -> (B,) logits or scores, with `.features(x)`, whose convolutions have the norm that `judge` names."""
    if config.architecture in NAMED:
        return named_discriminator(spec, config.architecture, config.width, coupled=judge != "example")
    norm: Norm = nn.BatchNorm2d if judge == "batch" and _conv(spec, config) else None
    return make_discriminator(spec, config, norm, dense=dense and judge == "batch")


def make_generator(spec: DataSpec, config: Sizes, norm: Norm = None, *, dense: bool = True) -> nn.Module:
    """(B, Z) -> (B, *E): an MLP, or from 16 pixels on a DCGAN generator, which is batch-normed unless told otherwise.

    A config may name a paper's network instead (`ganbench.nn.architectures`), whose norms are its own. On 28x28 pixels
    a DCGAN has a `dense` hidden layer.
    """
    if config.architecture in NAMED and norm is None:
        return named_generator(spec, config.architecture, config.latent_dim, config.width)
    if _conv(spec, config):
        norm = norm or nn.BatchNorm2d
        if not dense and spec.event_shape[1:] in DENSE:
            return all_conv_generator(spec, config.latent_dim, config.width, norm)
        return DCGANGenerator(spec, config.latent_dim, config.width, norm)
    return mlp_generator(spec, config.latent_dim, config.hidden, norm=norm)


def make_discriminator(spec: DataSpec, config: Layers, norm: Norm = None, *, dense: bool = True) -> nn.Module:
    """(B, *E) -> (B,) logits or scores, with `.features(x)` and just this norm, in all layers but the first."""
    if _conv(spec, config):
        if not dense and spec.event_shape[1:] in DENSE:
            return all_conv_discriminator(spec, config.width, norm)
        return DCGANDiscriminator(spec, config.width, norm)
    return mlp_discriminator(spec, config.hidden, norm=norm)
