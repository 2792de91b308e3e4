"""Minibatch discrimination: features of an example that say how close it lies to the others of its batch.

Source      Salimans et al. 2016, "Improved Techniques for Training GANs", section 3.2; the authors' code leaves out the
            example itself from the sum. The layer stands before the last one (not at the input).
Shapes      B batch, F features, K kernels, D dimensions of a kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganbench.nn.judge import Judge


class MinibatchDiscrimination(nn.Module):
    """Append o_k(x_i) = sum over j != i of exp(-|M_ik - M_jk|_1), M = T f(x): (B, F) -> (B, F + K)."""

    def __init__(self, n_features: int, n_kernels: int = 100, kernel_dim: int = 5) -> None:
        super().__init__()
        self.n_kernels, self.kernel_dim = n_kernels, kernel_dim
        self.n_features = n_features + n_kernels
        self.tensor = nn.Parameter(torch.randn(n_features, n_kernels * kernel_dim) * n_features**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        m = (x @ self.tensor).view(len(x), self.n_kernels, self.kernel_dim).permute(2, 1, 0).contiguous()  # (D, K, B)
        distance = torch.zeros((), device=x.device)
        for d in m:  # one dimension after the other: twice as fast as (B, B, K, D) at once
            distance = distance + (d.unsqueeze(2) - d.unsqueeze(1)).abs()  # (K, B, B)
        closeness = (-distance).exp().sum(1).T - 1  # (B, K); the example itself counts exp(0)
        return torch.cat([x, closeness], 1)


class MinibatchDiscriminator(nn.Module):
    """A discriminator whose last layer also sees how close the examples of a batch are: (B, *E) -> (B,) logits."""

    def __init__(self, judge: Judge, n_kernels: int = 100, kernel_dim: int = 5) -> None:
        super().__init__()
        self.judge = judge
        judge.head = nn.Identity()  # only its features are used
        self.closeness = MinibatchDiscrimination(judge.n_features, n_kernels, kernel_dim)
        self.head = nn.Linear(self.closeness.n_features, 1)

    def features(self, x: Tensor) -> Tensor:
        """The features below the minibatch layer, in which examples do not interact: (B, *E) -> (B, F)."""
        return self.judge.features(x)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.closeness(self.features(x)))
        return out.squeeze(1)
