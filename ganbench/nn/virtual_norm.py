"""Virtual batch norm: each example is normalised by a fixed reference batch and by itself, never by its batch mates.

Source      Salimans et al. 2016, "Improved Techniques for Training GANs", section 3.5; the statistics mix those of the
            R reference examples and of the example itself with weights R / (R + 1) and 1 / (R + 1).
Shapes      B batch, R reference, F features or channels, Z latent, *S places (none for vectors, H W for maps).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class VirtualBatchNorm(nn.Module):
    """Normalise (R + B, F, *S) of which the first R rows are the reference; gain and offset are learned."""

    def __init__(self, n_features: int, n_reference: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.n_reference, self.eps = n_reference, eps
        self.weight = nn.Parameter(torch.ones(n_features))
        self.bias = nn.Parameter(torch.zeros(n_features))

    def forward(self, h: Tensor) -> Tensor:
        r = self.n_reference
        maps = h.flatten(2) if h.ndim > 2 else h.unsqueeze(2)  # (R + B, F, S)
        mean, square = maps.mean(2), maps.square().mean(2)  # (R + B, F): each example's own moments
        own = torch.full((len(h), 1), 1 / (r + 1), device=h.device)
        own[:r] = 0  # the reference rows are part of the reference already
        mean = (1 - own) * mean[:r].mean(0) + own * mean
        square = (1 - own) * square[:r].mean(0) + own * square
        scale = (square - mean.square() + self.eps).rsqrt() * self.weight  # (R + B, F)
        out = (maps - mean.unsqueeze(2)) * scale.unsqueeze(2) + self.bias[:, None]
        return out.view_as(h)


class WithReference(nn.Module):
    """A generator whose layers see a fixed reference batch of latents before the batch itself: (B, Z) -> (B, *E)."""

    reference: Tensor

    def __init__(self, network: nn.Module, reference: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("reference", reference)  # (R, Z)

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.network(torch.cat([self.reference, z]))
        return out[len(self.reference) :]
