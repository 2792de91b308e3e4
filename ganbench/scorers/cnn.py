"""Small convolutional classifiers of handwritten digits: the scorers of `digits` and `mnist`, with committed weights.

Trained by `python -m ganbench.scorers.train NAME`, which writes `NAME_cnn.safetensors` and its card `NAME_cnn.json`.

Shapes      N events, K = 10 classes, F penultimate features, *E = (1, 8, 8) or (1, 28, 28) in [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ganbench.scorers.base import scorer
from ganbench.scorers.pinned import PinnedClassifier


@dataclass(frozen=True)
class Architecture:
    """Three convolutions with batch norm, two of them pooled, and two linear layers."""

    side: int  # events are (1, side, side)
    kernel: int  # of the first convolution
    stride: int
    widths: tuple[int, int, int]  # channels
    features: int  # F
    n_classes: int = 10


class DigitNet(nn.Module):
    """Convolutional classifier of grey images: (N, *E) -> logits (N, K); `features` is the layer before."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        b, c, d = a.widths
        self.body = nn.Sequential(
            nn.Conv2d(1, b, a.kernel, a.stride, a.kernel // 2, bias=False), nn.BatchNorm2d(b), nn.ReLU(),
            nn.Conv2d(b, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(c, d, 3, padding=1, bias=False), nn.BatchNorm2d(d), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(d * (a.side // a.stride // 4) ** 2, a.features, bias=False),
            nn.BatchNorm1d(a.features), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(a.features, a.n_classes)

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features: (N, *E) -> (N, F)."""
        out: Tensor = self.body(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(x))
        return out


ARCHITECTURES = {
    "digits": Architecture(side=8, kernel=3, stride=1, widths=(32, 64, 96), features=64),
    "mnist": Architecture(side=28, kernel=5, stride=2, widths=(32, 64, 96), features=128),
}


class _DigitClassifier(PinnedClassifier):
    """A `DigitNet` with the weights this package ships."""

    def network(self) -> DigitNet:
        """The network of this data set, without its weights."""
        return DigitNet(ARCHITECTURES[self.data])


@scorer("digits_cnn", event_shape=(1, 8, 8))
class DigitsCNN(_DigitClassifier):
    """Classifier of scikit-learn's 8x8 digits, learned from train and holdout; accuracy is on its card."""

    data, shape = "digits", (1, 8, 8)


@scorer("mnist_cnn", event_shape=(1, 28, 28))
class MnistCNN(_DigitClassifier):
    """Classifier of MNIST, learned from the first 50,000 training images; accuracy is on its card."""

    data, shape = "mnist", (1, 28, 28)
