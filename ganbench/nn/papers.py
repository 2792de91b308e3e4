"""Networks of papers on two-dimensional mixtures, read in the authors' code: what `networks="paper"` asks for.

Each takes the data and sizes and returns its networks with the paper's first weights. Raises `NotApplicable` on images.
Shapes      B batch, m pack, Z latent, D numbers in an event.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ganbench.data import DataSpec
from ganbench.errors import NotApplicable
from ganbench.nn.maxout import MaxoutDiscriminator
from ganbench.nn.mlp import MLP, mlp_discriminator, mlp_generator
from ganbench.nn.packing import packed_spec


def wgan_gp_toys(spec: DataSpec, latent_dim: int, hidden: Sequence[int]) -> tuple[MLP, MLP]:
    """Generator and critic of ReLUs, He's uniform weights but for Glorot's in the last layers, biases zero.

    Source: Gulrajani et al. 2017, arXiv:1704.00028, figure 1.
    """
    _vectors_only(spec)
    pair = mlp_generator(spec, latent_dim, hidden), mlp_discriminator(spec, hidden, activation=nn.ReLU)
    for network in pair:
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        last = network.head[0]
        assert isinstance(last, nn.Linear)
        nn.init.xavier_uniform_(last.weight)
    return pair


def unrolled_mixtures(spec: DataSpec, latent_dim: int, hidden: Sequence[int]) -> tuple[MLP, MLP]:
    """Generator and discriminator of tanh units, orthogonal weights of gain 1.4, biases zero.

    Source: Metz et al. 2017, arXiv:1611.02163, the authors' notebook.
    """
    _vectors_only(spec)
    generator = mlp_generator(spec, latent_dim, hidden, activation=nn.Tanh)
    discriminator = mlp_discriminator(spec, hidden, activation=nn.Tanh)
    for layer in (*generator.modules(), *discriminator.modules()):
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, 1.4)
            nn.init.zeros_(layer.bias)
    return generator, discriminator


def pacgan_mixtures(spec: DataSpec, latent_dim: int, pack: int) -> tuple[MLP, MaxoutDiscriminator]:
    """A batch-normed generator and a maxout discriminator of packs, weights N(0, 0.02).

    Source: Lin et al. 2018, arXiv:1712.04086, section 4.1.
    """
    _vectors_only(spec)
    generator = mlp_generator(spec, latent_dim, (400,) * 4, norm=nn.BatchNorm1d)
    discriminator = MaxoutDiscriminator(packed_spec(spec, pack).event_shape, (200,) * 3)
    _small_weights(generator, discriminator)
    return generator, discriminator


def ali_mixtures(spec: DataSpec, latent_dim: int) -> tuple[MLP, MLP, MaxoutDiscriminator]:
    """PacGAN's rerun of ALI: a generator, an encoder of event and noise (B, 2 D) -> (B, Z), a maxout judge of pairs."""
    _vectors_only(spec)
    generator = mlp_generator(spec, latent_dim, (400,) * 4, norm=nn.BatchNorm1d)
    encoder = MLP((2 * spec.n_dims,), (400, 400), (latent_dim,), norm=nn.BatchNorm1d)
    discriminator = MaxoutDiscriminator((spec.n_dims + latent_dim,), (200,) * 3)
    _small_weights(generator, encoder, discriminator)
    return generator, encoder, discriminator


def _vectors_only(spec: DataSpec) -> None:
    if spec.is_image:
        raise NotApplicable(
            "networks='paper' are the mixtures' and take vectors; on images use 'shared', or name an architecture"
        )


def _small_weights(*networks: nn.Module) -> None:
    for network in networks:
        for p in network.parameters():
            if p.ndim > 1:
                nn.init.normal_(p, 0.0, 0.02)
