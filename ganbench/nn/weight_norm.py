"""Linear layers under weight normalisation with data-dependent initialisation, and Gaussian noise between layers.

Source      Salimans & Kingma 2016, "Weight Normalization", sections 2 and 3; the classifier is that of Salimans et al.
            2016, "Improved Techniques for Training GANs", for MNIST.
Shapes      B batch, I inputs, O outputs, K classes, F features.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganbench.nn.linear import linear


class WeightNorm(nn.Module):
    """g v . x / |v| + b with one direction v and length g per unit; subclasses say what the product is."""

    g: Tensor

    def __init__(self, v: Tensor, n_out: int, learn_length: bool) -> None:
        super().__init__()
        self.v = nn.Parameter(v)
        self.bias = nn.Parameter(torch.zeros(n_out))
        if learn_length:
            self.g = nn.Parameter(torch.ones(n_out))
        else:
            self.register_buffer("g", torch.ones(n_out))

    def scaled(self, product: Tensor, length: Tensor) -> Tensor:
        """The units of v . x (B, O, ...) where the directions have this length (O,)."""
        # Rescaling the outputs instead of the weights is the same product with less to read and write.
        if product.ndim == 2:
            return product * (self.g / length) + self.bias
        shape = (-1, *[1] * (product.ndim - 2))
        return product * (self.g / length).view(shape) + self.bias.view(shape)

    @torch.no_grad()
    def initialise(self, x: Tensor, std: float = 1.0) -> Tensor:
        """Set g and b so that this batch gives units of mean 0 and this deviation; returns those (B, O, ...)."""
        self.g.fill_(1.0)
        self.bias.zero_()
        y = self(x)
        found, mean = torch.std_mean(y, [0, *range(2, y.ndim)], correction=0, keepdim=True)
        found = found.clamp(min=1e-6)  # a unit that is constant on the batch
        self.g.copy_((std / found).flatten())
        self.bias.copy_((-mean * std / found).flatten())
        out: Tensor = (y - mean) * std / found
        return out


class WeightNormLinear(WeightNorm):
    """(B, I) -> (B, O)."""

    def __init__(self, n_in: int, n_out: int, *, learn_length: bool = True) -> None:
        super().__init__(0.1 * torch.randn(n_out, n_in), n_out, learn_length)

    def forward(self, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(self.v, dim=1)
        return self.scaled(linear(x, self.v), length)


class NoisyClassifier(nn.Module):
    """Weight-normed ReLU layers with Gaussian noise before each, and K logits: (B, *E) -> (B, K).

    Noise is added where a generator is passed, and only there. Lengths are learned in the last layer alone, as in the
    authors' code.
    """

    def __init__(
        self, n_in: int, hidden: Sequence[int], n_classes: int, input_noise: float = 0.3, noise: float = 0.5
    ) -> None:
        super().__init__()
        widths = [n_in, *hidden]
        self.layers = nn.ModuleList(WeightNormLinear(a, b, learn_length=False) for a, b in itertools.pairwise(widths))
        self.head = WeightNormLinear(widths[-1], n_classes)
        self.noises = [input_noise, *[noise] * len(hidden)]

    def features(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Last hidden layer, before the noise on it: (B, *E) -> (B, F)."""
        x = x.flatten(1)
        for layer, noise in zip(self.layers, self.noises, strict=False):
            x = torch.relu(layer(_noisy(x, noise, rng)))
        return x

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        out: Tensor = self.head(_noisy(self.features(x, rng), self.noises[-1], rng))
        return out

    @torch.no_grad()
    def initialise(self, x: Tensor, rng: torch.Generator) -> None:
        """Normalise every layer in turn on this batch (B, *E)."""
        x = x.flatten(1)
        layers: list[WeightNormLinear] = [*self.layers]  # type: ignore[list-item]
        for layer, noise in zip(layers, self.noises, strict=False):
            x = torch.relu(layer.initialise(_noisy(x, noise, rng)))
        self.head.initialise(_noisy(x, self.noises[-1], rng))


def _noisy(x: Tensor, std: float, rng: torch.Generator | None) -> Tensor:
    if rng is None or std == 0:
        return x
    return torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype).mul_(std).add_(x)
