"""Multilayer perceptrons from any shape to any shape, and the default pair of a GAN on any event.

Shapes      B batch, Z latent, F width of the last hidden layer, *E event shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from ganbench.data import DataSpec
from ganbench.nn.linear import Linear


class MLP(nn.Module):
    """Linear layers with a norm (optional) and an activation between them: (B, *in_shape) -> (B, *out_shape)."""

    def __init__(
        self,
        in_shape: tuple[int, ...],
        hidden: Sequence[int],
        out_shape: tuple[int, ...],
        *,
        activation: Callable[[], nn.Module] = nn.ReLU,
        norm: Callable[[int], nn.Module] | None = None,  # nn.BatchNorm1d, nn.LayerNorm
        norm_from: int = 0,  # the first hidden layer that is normed
        dropout: float = 0.0,  # the share of each hidden layer's units left out in training
        out_activation: Callable[[], nn.Module] = nn.Identity,
    ) -> None:
        super().__init__()
        self.out_shape = out_shape
        layers: list[nn.Module] = []
        width = math.prod(in_shape)
        for i, h in enumerate(hidden):
            layers += [Linear(width, h), *([norm(h)] if norm and i >= norm_from else []), activation()]
            layers += [nn.Dropout(dropout)] if dropout else []
            width = h
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(Linear(width, math.prod(out_shape)))
        if not isinstance(last := out_activation(), nn.Identity):
            self.head.append(last)
        self.n_features = width

    def features(self, x: Tensor) -> Tensor:
        """Last hidden layer: (B, *in_shape) -> (B, F)."""
        out: Tensor = self.body(x.flatten(1))
        return out

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.features(x))
        # A view that changes nothing would cost a node each way; out_shape () gives (B,).
        return out if out.shape[1:] == self.out_shape else out.view(len(x), *self.out_shape)


def mlp_generator(
    spec: DataSpec,
    latent_dim: int,
    hidden: Sequence[int],
    *,
    activation: Callable[[], nn.Module] = nn.ReLU,
    norm: Callable[[int], nn.Module] | None = None,
) -> MLP:
    """(B, Z) -> (B, *E), through tanh where the data's domain is (-1, 1)."""
    out = nn.Identity if spec.domain is None else nn.Tanh
    return MLP((latent_dim,), hidden, spec.event_shape, activation=activation, norm=norm, out_activation=out)


def mlp_discriminator(
    spec: DataSpec,
    hidden: Sequence[int],
    *,
    activation: Callable[[], nn.Module] = lambda: nn.LeakyReLU(0.2),
    norm: Callable[[int], nn.Module] | None = None,
) -> MLP:
    """(B, *E) -> (B,) logits or scores; as in a DCGAN the first layer is never normed: it must see scale."""
    return MLP(spec.event_shape, hidden, (), activation=activation, norm=norm, norm_from=1)
