"""The default encoder and decoder for any event: convolutions for images of 16 pixels and more, else MLPs.

Shapes      B batch, Z latent, *E event shape, (n * E[0], *E[1:]) when the decoder has n maps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor, nn

from ganbench.data import DataSpec
from ganbench.nn.dcgan import DCGANDiscriminator, DCGANGenerator
from ganbench.nn.default import Layers, Sizes, _conv
from ganbench.nn.mlp import MLP


class ConvEncoder(nn.Module):
    """The strided convolutions of a DCGAN discriminator, then a linear layer: (B, C, H, W) -> (B, out_dim)."""

    def __init__(self, spec: DataSpec, width: int, out_dim: int, norm: Callable[[int], nn.Module] | None) -> None:
        super().__init__()
        tower = DCGANDiscriminator(spec, width, norm)
        self.body, self.head = tower.body, nn.Linear(tower.n_features, out_dim)

    def features(self, x: Tensor) -> Tensor:
        """Last convolution's activations: (B, C, H, W) -> (B, F)."""
        out: Tensor = self.body(x).flatten(1)
        return out

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.features(x))
        return out


def make_encoder(
    spec: DataSpec,
    config: Layers,
    out_dim: int,
    norm: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
    *,
    mlp_norm: Callable[[int], nn.Module] | None = None,
) -> ConvEncoder | MLP:
    """(B, *E) -> (B, out_dim), linear out; `norm` is that of the convolutions, `mlp_norm` that of an MLP."""
    if _conv(spec, config):
        return ConvEncoder(spec, config.width, out_dim, norm)
    return MLP(spec.event_shape, config.hidden, (out_dim,), norm=mlp_norm)


def make_decoder(
    spec: DataSpec,
    config: Sizes,
    *,
    maps: int = 1,
    bounded: bool = False,
    norm: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
) -> nn.Module:
    """(B, Z) -> (B, maps * E[0], *E[1:]), linear out, or through tanh when `bounded` and the data's domain is.

    `norm` is that of the convolutions.
    """
    shape = (maps * spec.event_shape[0], *spec.event_shape[1:])
    out = nn.Tanh() if bounded and spec.domain is not None else nn.Identity()
    if _conv(spec, config):
        net = DCGANGenerator(replace(spec, event_shape=shape), config.latent_dim, config.width, norm)
        net.body[-1] = out
        return net
    return MLP((config.latent_dim,), config.hidden, shape, out_activation=lambda: out)
