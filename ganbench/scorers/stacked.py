"""The posterior over the 1,000 classes of stacked MNIST: the pinned MNIST classifier applied to each channel.

Channels are independent given the image, so the posterior of a triple is the product of three; its most probable triple
is that of the most probable digits.

Shapes      N events, C = 3 channels, K = 10 digits, F penultimate features of one digit.
"""

from __future__ import annotations

from torch import Tensor

from ganbench.errors import BadInput
from ganbench.scorers.base import scorer
from ganbench.scorers.cnn import MnistCNN


@scorer("stacked_mnist_cnn", event_shape=(3, 28, 28))
class StackedMnistCNN:
    """`mnist_cnn` on the red, green and blue digit; class 100 r + 10 g + b."""

    n_classes = 1000
    domain: tuple[float, float] | None = (-1.0, 1.0)

    def __init__(self) -> None:
        self.digits = MnistCNN()
        self.signature = f"stacked-{self.digits.signature}"

    def probs(self, x: Tensor) -> Tensor:
        """Posterior of each triple: (N, 3, 28, 28) -> (N, 1000) float64."""
        p = self.digits.probs(self._channels(x)).view(-1, 3, 10)
        hundreds, tens, ones = p[:, 0, :, None, None], p[:, 1, None, :, None], p[:, 2, None, None, :]
        return (hundreds * tens * ones).flatten(1)

    def features(self, x: Tensor) -> Tensor:
        """The three digits' features side by side: (N, 3, 28, 28) -> (N, 3 F) float32."""
        return self.digits.features(self._channels(x)).view(len(x), -1)

    def _channels(self, x: Tensor) -> Tensor:  # (N, 3, 28, 28) -> (3 N, 1, 28, 28)
        if tuple(x.shape[1:]) != (3, 28, 28) or not x.is_floating_point():
            raise BadInput(
                f"stacked_mnist_cnn takes float events of shape (N, 3, 28, 28) in [-1, 1]; "
                f"got {x.dtype} {tuple(x.shape)}"
            )
        return x.flatten(0, 1).unsqueeze(1)
