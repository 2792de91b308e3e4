"""Classifiers of grey digits on pictures rendered with attributes: the digit is cut out, made grey and scaled back.

Blind to colour, size and place; thick strokes are outside of what the classifiers were trained on.

Shapes      N events, h side of a glyph, F penultimate features.
"""

from __future__ import annotations

from torch import Tensor

from ganbench.datasets.rendering import glyph
from ganbench.errors import BadInput
from ganbench.scorers.base import Scorer, scorer
from ganbench.scorers.cnn import DigitsCNN, MnistCNN


class Rendered:
    """A scorer of grey digits that looks at the digit of a rendered picture."""

    n_classes = 10
    domain: tuple[float, float] | None = (-1.0, 1.0)

    def __init__(self, grey: Scorer, side: int) -> None:
        self.grey, self.side = grey, side
        self.signature = f"rendered-{grey.signature}"

    def probs(self, x: Tensor) -> Tensor:
        """Posterior of the digit: (N, 3, 2 h, 2 h) -> (N, 10) float64."""
        return self.grey.probs(self._grey(x))

    def features(self, x: Tensor) -> Tensor:
        """Features of the digit: (N, 3, 2 h, 2 h) -> (N, F) float32."""
        return self.grey.features(self._grey(x))

    def _grey(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != (3, self.side, self.side):
            raise BadInput(f"events must have shape (N, 3, {self.side}, {self.side}); got {tuple(x.shape)}")
        if self.side == 16:
            return 2 * glyph(x, 8) - 1
        return 2 * glyph(x, 32)[:, :, 2:-2, 2:-2] - 1  # MNIST's digits have a margin there


@scorer("rendered_digits_cnn", event_shape=(3, 16, 16))
class RenderedDigits(Rendered):
    """`digits_cnn` on 16x16 pictures of 8x8 digits."""

    def __init__(self) -> None:
        super().__init__(DigitsCNN(), 16)


@scorer("rendered_mnist_cnn", event_shape=(3, 32, 32))
class RenderedMnist(Rendered):
    """`mnist_cnn` on 32x32 pictures of MNIST's digits at half their side."""

    def __init__(self) -> None:
        super().__init__(MnistCNN(), 32)
