"""Classifiers of grey digits on digits in colour: each says how its pictures become grey.

A scorer of inks is blind to the ink, one of rendered pictures to colour, size and place. Thick strokes are outside of
what the classifiers were trained on.

Shapes      N events, H side of a picture, h side of a glyph, K classes, F penultimate features.
"""

from __future__ import annotations

from torch import Tensor

from ganbench.datasets.rendering import glyph
from ganbench.errors import BadInput
from ganbench.scorers.base import Scorer, scorer
from ganbench.scorers.cnn import DigitsCNN, MnistCNN


class OfGrey:
    """A scorer of grey digits that looks at pictures of three channels."""

    n_classes = 10
    domain: tuple[float, float] | None = (-1.0, 1.0)

    def __init__(self, name: str, grey: Scorer, side: int) -> None:
        self.scorer, self.side = grey, side
        self.signature = f"{name}-{grey.signature}"

    def grey(self, x: Tensor) -> Tensor:
        """The digits as the scorer knows them: (N, 3, H, H) -> (N, 1, h, h)."""
        raise NotImplementedError

    def probs(self, x: Tensor) -> Tensor:
        """Posterior of the digit: (N, 3, H, H) -> (N, K) float64."""
        return self.scorer.probs(self._checked(x))

    def features(self, x: Tensor) -> Tensor:
        """Features of the digit: (N, 3, H, H) -> (N, F) float32."""
        return self.scorer.features(self._checked(x))

    def _checked(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != (3, self.side, self.side):
            raise BadInput(f"events must have shape (N, 3, {self.side}, {self.side}); got {tuple(x.shape)}")
        return self.grey(x)


class Ink(OfGrey):
    """Digits in any ink, which at full strength has one channel at 1: the grey digit is the maximum over channels."""

    def grey(self, x: Tensor) -> Tensor:
        return x.amax(1, keepdim=True)


@scorer("ink_digits_cnn", event_shape=(3, 8, 8))
class InkDigits(Ink):
    """`digits_cnn` on 8x8 digits in any ink."""

    def __init__(self) -> None:
        super().__init__("ink", DigitsCNN(), 8)


@scorer("ink_mnist_cnn", event_shape=(3, 28, 28))
class InkMnist(Ink):
    """`mnist_cnn` on 28x28 digits in any ink."""

    def __init__(self) -> None:
        super().__init__("ink", MnistCNN(), 28)


@scorer("rendered_digits_cnn", event_shape=(3, 16, 16))
class RenderedDigits(OfGrey):
    """`digits_cnn` on 16x16 pictures, rendered with attributes, of 8x8 digits."""

    def __init__(self) -> None:
        super().__init__("rendered", DigitsCNN(), 16)

    def grey(self, x: Tensor) -> Tensor:
        return 2 * glyph(x, 8) - 1


@scorer("rendered_mnist_cnn", event_shape=(3, 32, 32))
class RenderedMnist(OfGrey):
    """`mnist_cnn` on 32x32 pictures, rendered with attributes, of MNIST's digits at half their side."""

    def __init__(self) -> None:
        super().__init__("rendered", MnistCNN(), 32)

    def grey(self, x: Tensor) -> Tensor:
        return 2 * glyph(x, 32)[:, :, 2:-2, 2:-2] - 1  # MNIST's digits have a margin there
