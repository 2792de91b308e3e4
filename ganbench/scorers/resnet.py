"""A small residual network on 32x32 colour pictures: the classifier behind `cifar10_cnn`.

Trained by `python -m ganbench.scorers.train_cifar10`, which writes `cifar10_cnn.safetensors` and its card
`cifar10_cnn.json`. Three ideas of the fast CIFAR-10 networks (D. Page, "How to train your ResNet", 2018-19): fixed
whitening filters first, pooling before batch norm, and a maximum over positions last.

Shapes      N events, K = 10 classes, F penultimate features, *E = (3, 32, 32) in [-1, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganbench.scorers.pinned import PinnedClassifier

WIDTHS = (64, 128, 192)  # channels of the three stages; the last is F
PATCH = 2  # side of the whitened patches


def whitening(x: Tensor) -> Tensor:
    """Filters whose outputs on patches of x (N, 3, H, W) are uncorrelated with unit variance: (D, 3, P, P), D = 3 P^2.

    They are the eigenvectors of the patches' covariance over the roots of its eigenvalues, plus a floor of 1e-3 that
    keeps the directions without signal from being blown up.
    """
    patches = F.unfold(x, PATCH).transpose(1, 2).flatten(0, 1)  # (N * positions, D)
    values, vectors = torch.linalg.eigh(torch.cov(patches.T.double()))
    filters: Tensor = (vectors / (values + 1e-3).sqrt()).T.reshape(-1, 3, PATCH, PATCH).float()
    return filters


class Stage(nn.Module):
    """A convolution that halves the side, then a residual one: (B, C, H, W) -> (B, D, H / 2, W / 2)."""

    def __init__(self, c: int, d: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(c, d, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(d)
        self.same = nn.Conv2d(d, d, 3, padding=1, bias=False)
        self.same_norm = nn.BatchNorm2d(d)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(F.max_pool2d(self.down(x), 2)))
        return x + F.relu(self.same_norm(self.same(x)))


class SmallResNet(nn.Module):
    """Classifier of colour pictures: (N, *E) -> logits (N, K); `features` is the layer before, (N, F)."""

    scale: Tensor

    def __init__(self, n_classes: int = 10) -> None:
        super().__init__()
        d = 3 * PATCH**2
        self.whiten = nn.Conv2d(3, d, PATCH, bias=False).requires_grad_(False)
        widths = (2 * d, *WIDTHS)
        self.stages = nn.Sequential(*(Stage(c, d) for c, d in zip(widths, WIDTHS, strict=False)))
        self.head = nn.Linear(WIDTHS[-1], n_classes)
        self.register_buffer("scale", torch.tensor(0.125))  # of the logits; set anew when posteriors are calibrated

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features: (N, *E) -> (N, F)."""
        x = self.whiten(x)
        x = F.relu(torch.cat([x, -x], 1))  # both signs of each filter
        out: Tensor = self.stages(x).amax((2, 3))  # (N, F)
        return out

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.features(x)) * self.scale
        return out


class Cifar10CNN(PinnedClassifier):
    """Classifier of CIFAR-10, learned from train and half of holdout; accuracy and posteriors' quality on its card."""

    data, shape = "cifar10", (3, 32, 32)

    def network(self) -> SmallResNet:
        """The network without its weights."""
        return SmallResNet()
