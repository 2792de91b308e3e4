"""The scorer of stacked MNIST is the MNIST classifier on each channel."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import BadInput
from ganbench.scorers.load import load_scorer


def test_posterior_is_the_product_of_the_digits() -> None:
    stacked, digits = load_scorer("stacked_mnist_cnn"), load_scorer("mnist_cnn")
    x = 2 * torch.rand(5, 3, 28, 28, generator=torch.Generator().manual_seed(0)) - 1
    p, q = stacked.probs(x), [digits.probs(x[:, c : c + 1]) for c in range(3)]
    assert p.shape == (5, stacked.n_classes) == (5, 1000)
    assert_close(p.sum(1), torch.ones(5, dtype=torch.float64), rtol=0, atol=1e-12)
    for r, g, b in ((0, 0, 0), (7, 1, 9), (9, 9, 9), (0, 4, 0)):
        assert_close(p[:, 100 * r + 10 * g + b], q[0][:, r] * q[1][:, g] * q[2][:, b], rtol=1e-6, atol=1e-12)
    best = torch.stack([d.argmax(1) for d in q], 1) @ torch.tensor([100, 10, 1])
    assert torch.equal(p.argmax(1), best)
    features = torch.cat([digits.features(x[:, c : c + 1]) for c in range(3)], 1)
    assert_close(stacked.features(x), features, rtol=1e-5, atol=1e-5)
    assert digits.signature in stacked.signature  # the same weights, pinned by the same hash


@pytest.mark.parametrize("x", [torch.zeros(2, 1, 28, 28), torch.zeros(2, 3, 32, 32), torch.zeros(2, 3, 28, 28).int()])
def test_other_events_are_refused(x: torch.Tensor) -> None:
    with pytest.raises(BadInput, match=r"\(N, 3, 28, 28\)"):
        load_scorer("stacked_mnist_cnn").probs(x)
