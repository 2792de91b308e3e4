"""The scorer of stacked MNIST is the MNIST classifier on each channel."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import BadInput
from ganbench.scorers.load import load_scorer


def strokes() -> torch.Tensor:
    """A bar, a ring and a seven drawn by hand in the three channels, then in another order: (2, 3, 28, 28)."""
    x = torch.full((3, 28, 28), -1.0)
    x[0, 5:23, 13:15] = 1
    down, right = torch.meshgrid(torch.arange(28) - 13.5, torch.arange(28) - 13.5, indexing="ij")
    x[1][((down / 9) ** 2 + (right / 6) ** 2 - 1).abs() < 0.3] = 1
    x[2, 6:8, 8:20] = 1
    for row in range(8, 23):
        column = 19 - (row - 8) // 2
        x[2, row, column - 1 : column + 1] = 1
    return torch.stack([x, x[[2, 0, 1]]])


def test_posterior_is_the_product_of_the_digits() -> None:
    stacked, digits = load_scorer("stacked_mnist_cnn"), load_scorer("mnist_cnn")
    x = strokes()
    p, q = stacked.probs(x), [digits.probs(x[:, c : c + 1]) for c in range(3)]
    assert p.shape == (2, stacked.n_classes) == (2, 1000)
    assert_close(p.sum(1), torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-12)
    for r, g, b in ((0, 0, 0), (7, 1, 9), (9, 9, 9), (0, 4, 0)):
        assert_close(p[:, 100 * r + 10 * g + b], q[0][:, r] * q[1][:, g] * q[2][:, b], rtol=1e-4, atol=0)
    assert p.argmax(1).tolist() == [107, 710]
    features = torch.cat([digits.features(x[:, c : c + 1]) for c in range(3)], 1)
    assert_close(stacked.features(x), features, rtol=1e-5, atol=1e-5)
    assert digits.signature in stacked.signature  # the same weights, pinned by the same hash


@pytest.mark.parametrize("x", [torch.zeros(2, 1, 28, 28), torch.zeros(2, 3, 32, 32), torch.zeros(2, 3, 28, 28).int()])
def test_other_events_are_refused(x: torch.Tensor) -> None:
    with pytest.raises(BadInput, match=r"\(N, 3, 28, 28\)"):
        load_scorer("stacked_mnist_cnn").probs(x)
