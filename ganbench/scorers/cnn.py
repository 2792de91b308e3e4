"""Small convolutional classifiers of handwritten digits: the scorers of `digits` and `mnist`, with committed weights.

Trained by `python -m ganbench.scorers.train NAME`, which writes `NAME_cnn.safetensors` and its card `NAME_cnn.json`.

Shapes      N events, K = 10 classes, F penultimate features, *E = (1, 8, 8) or (1, 28, 28) in [-1, 1].
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from ganbench.errors import BadInput
from ganbench.scorers.base import in_batches, scorer

FOLDER = Path(__file__).parent


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


class _PinnedClassifier:
    """A `DigitNet` with the weights this package ships; refuses weights that differ from the card."""

    data: ClassVar[str]
    domain: tuple[float, float] | None = (-1.0, 1.0)

    def __init__(self, folder: Path = FOLDER) -> None:
        card = json.loads((folder / f"{self.data}_cnn.json").read_text(encoding="utf-8"))
        weights = (folder / f"{self.data}_cnn.safetensors").read_bytes()
        digest = hashlib.sha256(weights).hexdigest()
        if digest != card["sha256"]:
            raise BadInput(
                f"{self.data}_cnn.safetensors must have sha256 {card['sha256'][:12]}..., as its card says; "
                f"got {digest[:12]}...; reinstall ganbench or train it again with `{card['command']}`"
            )
        architecture = ARCHITECTURES[self.data]
        self.net = DigitNet(architecture)
        self.net.load_state_dict(load_safetensors(weights))
        self.net.eval().requires_grad_(False)
        self.signature = f"{self.data}-cnn@{digest[:8]}"
        self.n_classes = architecture.n_classes

    def probs(self, x: Tensor) -> Tensor:
        """Class posteriors: (N, *E) -> (N, K) float64."""
        return in_batches(lambda b: self._net(b)(b).double().log_softmax(1).exp(), self._check(x))

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features: (N, *E) -> (N, F) float32."""
        return in_batches(lambda b: self._net(b).features(b), self._check(x))

    def _net(self, x: Tensor) -> DigitNet:
        return self.net.to(x.device)

    def _check(self, x: Tensor) -> Tensor:
        side = ARCHITECTURES[self.data].side
        if tuple(x.shape[1:]) != (1, side, side) or not x.is_floating_point():
            raise BadInput(
                f"{self.data}_cnn takes float events of shape (N, 1, {side}, {side}) in [-1, 1]; "
                f"got {x.dtype} {tuple(x.shape)}"
            )
        return x.float()


@scorer("digits_cnn", event_shape=(1, 8, 8))
class DigitsCNN(_PinnedClassifier):
    """Classifier of scikit-learn's 8x8 digits, learned from train and holdout; accuracy is on its card."""

    data = "digits"


@scorer("mnist_cnn", event_shape=(1, 28, 28))
class MnistCNN(_PinnedClassifier):
    """Classifier of MNIST, learned from the first 50,000 training images; accuracy is on its card."""

    data = "mnist"
