"""A small convolutional network on 32x32 colour pictures: the classifier behind `cifar10_cnn`.

Trained by `python -m ganbench.scorers.train_cifar10`, which writes `cifar10_cnn.safetensors` and its card
`cifar10_cnn.json`. Its parts are those of the fast CIFAR-10 networks: whitening filters first, pooling before batch
norm and a maximum over positions last (D. Page, "How to train your ResNet", 2018-19); convolutions that start as the
identity, batch norm without a gain (K. Jordan, "94% on CIFAR-10 in 3.29 seconds", arXiv:2404.00498). A stage has three
convolutions, the last two with a way around.

Shapes      N events, K = 10 classes, F penultimate features, *E = (3, 32, 32) in [-1, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganbench.scorers.base import in_batches, scorer
from ganbench.scorers.pinned import PinnedClassifier

WIDTHS = (64, 112, 158)  # channels of the three stages; the last is F
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
    """A convolution, pooling, two convolutions with a way around: (B, C, H, W) -> (B, D, H // 2, W // 2)."""

    def __init__(self, c: int, d: int) -> None:
        super().__init__()
        self.widen, self.keep, self.add = (nn.Conv2d(k, d, 3, padding=1, bias=False) for k in (c, d, d))
        self.widen_norm, self.keep_norm, self.add_norm = (nn.BatchNorm2d(d, momentum=0.4) for _ in range(3))
        nn.init.dirac_(self.widen.weight[:c])
        for convolution in (self.keep, self.add):
            nn.init.dirac_(convolution.weight)
        for norm in (self.widen_norm, self.keep_norm, self.add_norm):
            norm.weight.requires_grad_(False)  # stays 1: the next layer can learn any gain

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.widen_norm(F.max_pool2d(self.widen(x), 2)))
        out = F.gelu(self.keep_norm(self.keep(x)))
        return F.gelu(self.add_norm(self.add(out)) + x)


class SmallConvNet(nn.Module):
    """Classifier of colour pictures: (N, *E) -> logits (N, K); `features` is the layer before, (N, F).

    In evaluation both are the mean of a picture's and of its mirror image's.
    """

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        d = 3 * PATCH**2
        self.whiten = nn.Conv2d(3, d, PATCH)
        self.whiten.weight.requires_grad_(False)
        nn.init.zeros_(self.whiten.bias)  # type: ignore[arg-type]
        widths = (2 * d, *WIDTHS)
        self.stages = nn.Sequential(*(Stage(c, d) for c, d in zip(widths, WIDTHS, strict=False)))
        self.head = nn.Linear(WIDTHS[-1], 10, bias=False)
        self.register_buffer("scale", torch.tensor(1 / 9))  # of the logits; set anew when posteriors are calibrated

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features: (N, *E) -> (N, F)."""
        if self.training:
            return self._one_view(x)
        return (self._one_view(x) + self._one_view(x.flip(3))) / 2

    def _one_view(self, x: Tensor) -> Tensor:
        x = self.whiten(x)
        x = F.gelu(torch.cat([x, -x], 1))  # both signs of each filter
        out: Tensor = self.stages(x).amax((2, 3))  # (N, F)
        return out

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.features(x)) * self.scale
        return out


@scorer("cifar10_cnn", event_shape=(3, 32, 32))
class Cifar10CNN(PinnedClassifier):
    """Classifier of CIFAR-10, from train and three quarters of holdout; its card has accuracy and likelihood."""

    data, shape = "cifar10", (3, 32, 32)

    def network(self) -> SmallConvNet:
        """The network without its weights."""
        return SmallConvNet()

    def posteriors(self, features: Tensor) -> Tensor:
        """Class posteriors of features: (N, F) float32 -> (N, K) float64."""
        head = self.net.head.to(features.device)
        return in_batches(lambda rows: (head(rows) * self.net.scale).double().log_softmax(1).exp(), features)
