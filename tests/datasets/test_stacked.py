"""Stacked MNIST: every channel is the digit that the label says, splits share no digit, the draw is pinned."""

from __future__ import annotations

import pytest
import torch

from ganbench.data import Split
from ganbench.datasets.load import load
from ganbench.datasets.stacked import stack
from ganbench.errors import MissingResource


def toy_digits(n: int = 50) -> Split:
    """Images whose only pixel value is their row number, labels its last digit."""
    rows = torch.arange(n)
    return Split(rows.to(torch.uint8).view(n, 1, 1, 1).expand(n, 1, 4, 4).contiguous(), rows % 10)


def test_channels_are_the_digits_that_the_label_spells() -> None:
    made = stack(toy_digits(), 400, "train")
    assert made.x.shape == (400, 3, 4, 4)
    assert made.x.dtype == torch.uint8
    rows = made.x[:, :, 0, 0].long()  # which digit stands in each channel
    assert torch.equal(made.x, rows.to(torch.uint8)[:, :, None, None].expand(-1, -1, 4, 4))
    assert torch.equal(made.y, (rows % 10) @ torch.tensor([100, 10, 1]))
    assert int(made.y.max()) <= 999


def test_the_draw_is_uniform_independent_and_of_the_parts_own_stream() -> None:
    made = stack(toy_digits(10), 30_000, "train")
    counts = torch.bincount(made.y, minlength=1000).double()  # ten digits, all triples alike
    chi2 = float(((counts - 30).square() / 30).sum())
    assert abs(chi2 - 999) < 5 * (2 * 999) ** 0.5
    assert torch.equal(stack(toy_digits(10), 30_000, "train").y, made.y)
    assert not torch.equal(stack(toy_digits(10), 30_000, "test").y, made.y)


def test_the_data_set_is_pinned() -> None:
    try:
        data = load("stacked_mnist")
    except MissingResource as error:
        pytest.skip(str(error))
    assert (data.spec.version, data.spec.event_shape, data.spec.n_classes) == (1, (3, 28, 28), 1000)
    assert [len(s) for s in (data.train, data.holdout, data.test)] == [128_000, 26_000, 26_000]
    assert data.spec.n_eval == 26_000  # the number of samples of the published protocol
    assert data.spec.sha256 == "bdfaedce627b2f7aef931da91a640e62a6fd621185e719ad7eb8b48d37ccd836"
