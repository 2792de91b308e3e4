"""A convolutional classifier and generator for 32x32 images under weight norm, with dropout from a given generator.

Source      Salimans et al. 2016, "Improved Techniques for Training GANs": the networks of the authors' code for
            CIFAR-10 and SVHN; Salimans & Kingma 2016, "Weight Normalization".
Shapes      B batch, Z latent, C channels, I and O channels in and out, W width, K classes, F features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.nn.weight_norm import WeightNorm, WeightNormLinear

OUT_STD = 0.1  # of the last layers at the start


class WeightNormConv2d(WeightNorm):
    """Square kernels, one direction per output channel: (B, I, H, H) -> (B, O, H', H')."""

    def __init__(self, n_in: int, n_out: int, side: int, *, stride: int = 1, padding: int = 0) -> None:
        super().__init__(0.05 * torch.randn(n_out, n_in, side, side), n_out, learn_length=False)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        product = F.conv2d(x, self.v, stride=self.stride, padding=self.padding)
        return self.scaled(product, torch.linalg.vector_norm(self.v, dim=(1, 2, 3)))


class WeightNormDoubling(WeightNorm):
    """A transposed 5x5 convolution of stride 2, lengths learned: (B, I, H, H) -> (B, O, 2 H, 2 H)."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(0.05 * torch.randn(n_in, n_out, 5, 5), n_out, learn_length=True)

    def forward(self, x: Tensor) -> Tensor:
        product = F.conv_transpose2d(x, self.v, stride=2, padding=2, output_padding=1)
        return self.scaled(product, torch.linalg.vector_norm(self.v, dim=(0, 2, 3)))


class DropoutClassifier(nn.Module):
    """Nine convolutions with LeakyReLU(0.2), mean over places, K logits: (B, C, 32, 32) -> (B, K).

    Dropout acts where a random generator is passed, and only there: on the image and before the second and third three
    convolutions. Lengths are learned in the last layer alone, as in the authors' code.
    """

    def __init__(self, n_channels: int, width: int, n_classes: int) -> None:
        super().__init__()
        w = width
        # channels in and out, side, stride, padding, rate of dropout before it
        plan: list[tuple[int, int, int, int, int, float]] = [
            (n_channels, w, 3, 1, 1, 0.2),
            (w, w, 3, 1, 1, 0.0),
            (w, w, 3, 2, 1, 0.0),
            (w, 2 * w, 3, 1, 1, 0.5),
            (2 * w, 2 * w, 3, 1, 1, 0.0),
            (2 * w, 2 * w, 3, 2, 1, 0.0),
            (2 * w, 2 * w, 3, 1, 0, 0.5),
            (2 * w, 2 * w, 1, 1, 0, 0.0),
            (2 * w, 2 * w, 1, 1, 0, 0.0),
        ]
        self.layers = nn.ModuleList(WeightNormConv2d(i, o, k, stride=s, padding=p) for i, o, k, s, p, _ in plan)
        self.rates = [rate for *_, rate in plan]
        self.head = WeightNormLinear(2 * w, n_classes)

    def features(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Last convolution's channels, averaged over places: (B, C, 32, 32) -> (B, F)."""
        for layer, rate in zip(self.layers, self.rates, strict=True):
            x = F.leaky_relu(layer(dropout(x, rate, rng)), 0.2)
        return x.mean((2, 3))

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        out: Tensor = self.head(self.features(x, rng))
        return out

    @torch.no_grad()
    def initialise(self, x: Tensor, rng: torch.Generator) -> None:
        """Normalise every layer in turn on this batch (B, C, 32, 32)."""
        layers: list[WeightNormConv2d] = [*self.layers]  # type: ignore[list-item]
        for layer, rate in zip(layers, self.rates, strict=True):
            x = F.leaky_relu(layer.initialise(dropout(x, rate, rng)), 0.2)
        self.head.initialise(x.mean((2, 3)), OUT_STD)


class DoublingGenerator(nn.Module):
    """From 4x4 to 32x32 by transposed 5x5 convolutions under batch norm without gains: (B, Z) -> (B, C, 32, 32)."""

    def __init__(self, n_channels: int, latent_dim: int, width: int = 128) -> None:
        super().__init__()
        w = width
        self.body = nn.Sequential(
            nn.Linear(latent_dim, 4 * w * 16, bias=False),
            _shift_only(nn.BatchNorm1d(4 * w * 16, eps=1e-6)),
            nn.ReLU(),
            nn.Unflatten(1, (4 * w, 4, 4)),
            nn.ConvTranspose2d(4 * w, 2 * w, 5, 2, 2, output_padding=1, bias=False),
            _shift_only(nn.BatchNorm2d(2 * w, eps=1e-6)),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * w, w, 5, 2, 2, output_padding=1, bias=False),
            _shift_only(nn.BatchNorm2d(w, eps=1e-6)),
            nn.ReLU(),
        )
        self.head = WeightNormDoubling(w, n_channels)
        for layer in self.body:
            if isinstance(layer, nn.Linear | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, 0.0, 0.05)

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(z))
        return torch.tanh(out)

    @torch.no_grad()
    def initialise(self, z: Tensor) -> None:
        """Give the images of these latents (B, Z) mean 0 and a small deviation in every channel, before the tanh."""
        self.head.initialise(self.body(z), OUT_STD)


def dropout(x: Tensor, rate: float, rng: torch.Generator | None) -> Tensor:
    """x with each number zeroed at this rate and the others scaled up to keep the mean; x itself without `rng`."""
    if rng is None or rate == 0:
        return x
    kept = torch.rand(x.shape, generator=rng, device=x.device) >= rate
    return x * kept / (1 - rate)


def _shift_only(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> nn.Module:
    nn.init.ones_(norm.weight).requires_grad_(False)
    return norm
