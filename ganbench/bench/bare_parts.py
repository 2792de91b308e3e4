"""What the bare loops are made of: networks written out, in the shapes that the registered models have, batches, noise.

Shapes      B batch, Z latent, I inputs, O outputs, *E event shape: (D,), or (1, 28, 28) with convolutions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ganbench.nn.linear import Linear, linear
from ganbench.nn.softplus import Softplus


def mlp(*widths: int, leak: float = 0.0) -> nn.Sequential:
    """Linear layers with (leaky) ReLU between them: (B, I) -> (B, O)."""
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [Linear(a, b), nn.LeakyReLU(leak) if leak else nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def encoder(shape: tuple[int, ...], c: Any, n_out: int, leak: float = 0.0) -> nn.Sequential:
    """Leaky on vectors for a discriminator, DCGAN's with a dense layer on images: (B, *E) -> (B, n_out)."""
    if len(shape) == 1:
        return mlp(*shape, *c.hidden, n_out, leak=leak)
    return nn.Sequential(
        nn.Conv2d(1, 32, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(32, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.LeakyReLU(0.2), nn.Flatten(),
        Linear(3136, 1024, bias=False), nn.BatchNorm1d(1024), nn.LeakyReLU(0.2), nn.Linear(1024, n_out),
    )  # fmt: skip


def decoder(shape: tuple[int, ...], c: Any, maps: int = 1, bounded: bool = False) -> nn.Sequential:
    """DCGAN's generator on images, through tanh where it is `bounded`: (B, Z) -> (B, maps * E[0], *E[1:])."""
    if len(shape) == 1:
        return mlp(c.latent_dim, *c.hidden, maps * shape[0])
    return nn.Sequential(
        Linear(c.latent_dim, 1024, bias=False), nn.BatchNorm1d(1024), nn.ReLU(),
        Linear(1024, 3136, bias=False), nn.Unflatten(1, (64, 7, 7)), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.ConvTranspose2d(32, maps, 4, 2, 1), *[nn.Tanh()] * bounded,
    )  # fmt: skip


def all_conv_generator(shape: tuple[int, ...], c: Any) -> nn.Sequential:
    """From maps of 4x4 on: (B, Z) -> (B, *E)."""
    if len(shape) == 1:
        return decoder(shape, c)
    return nn.Sequential(
        Linear(c.latent_dim, 2048), nn.Unflatten(1, (128, 4, 4)), nn.BatchNorm2d(128), nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 5, 2, 2), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 5, 2, 2, 1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 5, 2, 2, 1), nn.Tanh(),
    )  # fmt: skip


def all_conv_critic(shape: tuple[int, ...], c: Any) -> nn.Sequential:
    """Down to maps of 4x4, without norms: (B, *E) -> (B, 1)."""
    if len(shape) == 1:
        return encoder(shape, c, 1, leak=0.2)
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, 2, 2), nn.LeakyReLU(0.2), nn.Conv2d(32, 64, 5, 2, 2), nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 5, 2, 2), nn.LeakyReLU(0.2), nn.Flatten(), Linear(2048, 1),
    )  # fmt: skip


class WeightNorm(nn.Module):
    """g v . x / |v| + b: (B, I) -> (B, O)."""

    def __init__(self, n_in: int, n_out: int, learn_length: bool) -> None:
        super().__init__()
        self.v, self.bias = nn.Parameter(torch.zeros(n_out, n_in)), nn.Parameter(torch.zeros(n_out))
        self.g = nn.Parameter(torch.ones(n_out), requires_grad=learn_length)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = linear(x, self.v) * (self.g / torch.linalg.vector_norm(self.v, dim=1)) + self.bias
        return out


def softplus_generator(*widths: int) -> nn.Sequential:
    """Softplus under batch norm without gains, a weight-normed layer out: (B, Z) -> (B, O)."""
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths[:-1]):
        norm = nn.BatchNorm1d(b, eps=1e-6)
        norm.weight.requires_grad_(False)
        layers += [Linear(a, b, bias=False), norm, Softplus()]
    return nn.Sequential(*layers, WeightNorm(widths[-2], widths[-1], learn_length=True))


def classifier(*widths: int) -> nn.ModuleList:
    """Weight-normed layers, of which the last alone learns its lengths."""
    last = len(widths) - 2
    return nn.ModuleList(WeightNorm(a, b, i == last) for i, (a, b) in enumerate(itertools.pairwise(widths)))


def epochs(n: int, size: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Endless rows of batches (size,), every epoch in an order of its own, without its short tail."""
    while True:
        yield from torch.randperm(n, generator=rng, device=rng.device)[: n - n % size].view(-1, size)


def normal(n: int, k: int, rng: torch.Generator) -> Tensor:
    """N(0, 1): -> (n, k)."""
    return torch.randn(n, k, generator=rng, device=rng.device)
