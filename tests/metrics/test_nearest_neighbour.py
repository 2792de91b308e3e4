"""1-nearest-neighbour accuracy of codes: an independent implementation, limits, invariance, and what is refused."""

from __future__ import annotations

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.nearest_neighbour import nn_accuracy
from ganbench.stats import wilson


class Encoder:
    name, gives = "encoder", ("encode", "features")

    def encode(self, x: Tensor) -> Tensor:
        raise AssertionError("the representation comes first")

    def representation(self, x: Tensor) -> Tensor:
        return 3 * x.flatten(1) + 1


class Judge:
    name, gives = "judge", ("features",)

    def features(self, x: Tensor) -> Tensor:
        raise AssertionError("the representation comes first")

    def representation(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :1]


class Sampler:
    name, gives = "sampler", ("sample",)


def blobs(n: int, noise: float, seed: int, k: int = 5) -> tuple[Tensor, Tensor]:
    y = torch.arange(n) % k
    return torch.eye(k)[y].repeat(1, 4) + noise * torch.randn(
        n, 4 * k, generator=torch.Generator().manual_seed(seed)
    ), y


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_agrees_with_scikit_learn(noise: float) -> None:
    (x, y), (test, truth) = blobs(600, noise, 0), blobs(1300, noise, 1)
    score = nn_accuracy(Encoder(), x, y, test, truth)
    theirs = KNeighborsClassifier(1, algorithm="brute").fit((3 * x + 1).double(), y)
    right = int((torch.from_numpy(theirs.predict((3 * test + 1).double())) == truth).sum())
    assert score.value == right / 1300
    assert score.interval == wilson(right, 1300)
    assert score.signature == "nn_accuracy|k=1|euclidean|train=600|m=1300|v2"


def test_its_own_training_set_is_all_right_and_codes_that_know_nothing_guess() -> None:
    x, y = blobs(500, 1.0, 0)
    assert nn_accuracy(Encoder(), x, y, x, y).value == 1
    test = torch.randn(2000, 20, generator=torch.Generator().manual_seed(2))
    guess = nn_accuracy(Encoder(), torch.randn(500, 20), y, test, torch.arange(2000) % 5).value
    assert abs(guess - 0.2) < 5 * (0.16 / 2000) ** 0.5


def test_features_serve_where_nothing_encodes() -> None:
    x, y = blobs(300, 0.1, 0, k=2)
    assert nn_accuracy(Judge(), x, y, x, y).value == 1


def test_what_cannot_be_compared_is_refused() -> None:
    x, y = blobs(50, 1.0, 0)
    with pytest.raises(NotApplicable, match="neither encodes nor has features"):
        nn_accuracy(Sampler(), x, y, x, y)
    with pytest.raises(BadInput, match="train_labels must be 50 integer"):
        nn_accuracy(Encoder(), x, y[:-1], x, y)
    with pytest.raises(BadInput, match="test_labels must be 50 integer"):
        nn_accuracy(Encoder(), x, y, x, y.float())
    with pytest.raises(BadInput, match="codes must be finite"):
        nn_accuracy(Encoder(), x.index_fill(0, torch.tensor([3]), torch.inf), y, x, y)
