"""Classifiers of grey digits on digits in colour: an ink of full strength has one channel at 1, so the grey digit is
the maximum over channels.

Shapes      N events, K classes, F penultimate features.
"""

from __future__ import annotations

from torch import Tensor

from ganbench.errors import BadInput
from ganbench.scorers.base import Scorer, scorer
from ganbench.scorers.cnn import DigitsCNN, MnistCNN


class Ink:
    """A scorer of grey digits that takes them in any ink."""

    n_classes = 10
    domain: tuple[float, float] | None = (-1.0, 1.0)

    def __init__(self, grey: Scorer, side: int) -> None:
        self.grey, self.side = grey, side
        self.signature = f"ink-{grey.signature}"

    def probs(self, x: Tensor) -> Tensor:
        """Posterior of the digit: (N, 3, H, W) -> (N, K) float64."""
        return self.grey.probs(self._grey(x))

    def features(self, x: Tensor) -> Tensor:
        """Features of the digit, blind to its ink: (N, 3, H, W) -> (N, F) float32."""
        return self.grey.features(self._grey(x))

    def _grey(self, x: Tensor) -> Tensor:  # (N, 3, H, W) -> (N, 1, H, W)
        if tuple(x.shape[1:]) != (3, self.side, self.side):
            raise BadInput(f"events must have shape (N, 3, {self.side}, {self.side}); got {tuple(x.shape)}")
        return x.amax(1, keepdim=True)


@scorer("ink_digits_cnn", event_shape=(3, 8, 8))
class InkDigits(Ink):
    """`digits_cnn` on 8x8 digits in any ink."""

    def __init__(self) -> None:
        super().__init__(DigitsCNN(), 8)


@scorer("ink_mnist_cnn", event_shape=(3, 28, 28))
class InkMnist(Ink):
    """`mnist_cnn` on 28x28 digits in any ink."""

    def __init__(self) -> None:
        super().__init__(MnistCNN(), 28)
