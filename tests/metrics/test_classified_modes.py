"""Modes by classes: known counts, limits, the bias of N, and the control rows of stacked MNIST."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from ganbench.data import DataSpec, Split
from ganbench.datasets.load import load
from ganbench.errors import BadInput, MissingResource
from ganbench.metrics.base import Score
from ganbench.metrics.classified_modes import classified_modes
from ganbench.model import Budget
from ganbench.registry import MODELS
from ganbench.scorers.load import load_scorer


def one_hot(classes: Tensor, k: int) -> Tensor:
    return torch.eye(k, dtype=torch.float64)[classes]


def scored(classes: Tensor, k: int = 1000) -> tuple[Score, Score]:
    modes, kl = classified_modes(one_hot(classes, k))
    return modes, kl


def test_every_class_equally_often_is_perfect_and_one_class_is_the_worst() -> None:
    modes, kl = scored(torch.arange(1000).repeat(3))
    assert (modes.value, kl.value) == (1000, 0)
    modes, kl = scored(torch.full((500,), 7))
    assert modes.value == 1
    assert_close(kl.value, math.log(1000), rtol=1e-12, atol=0)
    assert kl.se == 0


def test_kl_of_counts_is_that_of_the_definition() -> None:
    # p = (1/2, 1/3, 1/6, 0): sum p log(4 p).
    modes, kl = scored(torch.tensor([0, 0, 0, 1, 1, 2]), 4)
    p = [1 / 2, 1 / 3, 1 / 6]
    assert modes.value == 3
    assert_close(kl.value, sum(a * math.log(4 * a) for a in p), rtol=1e-12, atol=0)


def test_only_the_most_probable_class_counts() -> None:
    sharp = one_hot(torch.tensor([0, 3, 3]), 4)
    soft = 0.6 * sharp + 0.1
    values = [[s.value for s in classified_modes(p)] for p in (sharp, soft)]
    assert values[0] == values[1]


def test_a_perfect_sampler_has_the_bias_that_is_stated(rng: torch.Generator) -> None:
    k, n, runs = 50, 2000, 200
    found = [scored(torch.randint(k, (n,), generator=rng), k)[1] for _ in range(runs)]
    mean = sum(s.value for s in found) / runs
    spread = (k - 1) ** 0.5 / (2**0.5 * n)  # 2 n KL is about chi-squared with K-1 degrees of freedom
    assert found[0].extra["expected_bias"] == (k - 1) / (2 * n)
    assert abs(mean - (k - 1) / (2 * n)) < 5 * spread / runs**0.5 + 3e-4


def test_n_and_the_scorer_are_in_the_signature() -> None:
    modes, kl = classified_modes(one_hot(torch.arange(6), 10), space="mnist-cnn@12345678")
    assert modes.signature == "classified_modes|K=10|n=6|mnist-cnn@12345678|v1"
    assert kl.signature.startswith("classified_modes_reverse_kl|K=10|n=6|")
    assert (modes.direction, kl.direction, modes.n) == ("max", "min", 6)


@pytest.mark.parametrize(
    ("probs", "said"),
    [
        (torch.randn(5, 10, dtype=torch.float64), "probabilities"),
        (torch.full((5, 10), 0.2), "sum to 1"),
        (torch.zeros(0, 10), "at least 1 rows"),
        (torch.full((5, 10), math.nan), "finite"),
    ],
)
def test_bad_posteriors_are_refused(probs: Tensor, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        classified_modes(probs)


def test_one_mode_collapse_finds_one_mode() -> None:
    """The collapse control draws a single image, whatever it is: one class, and the worst KL."""
    spec = DataSpec("stacked_mnist", (3, 28, 28), (-1.0, 1.0), 1000)
    model = MODELS.load("control_collapse")()
    model.build(spec)
    pixels = torch.randint(256, (20, 3, 28, 28), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    model.fit(Split(pixels), Budget(iterations=1), torch.Generator().manual_seed(0))
    modes, kl = classified_modes(load_scorer("stacked_mnist_cnn").probs(model.sample(40, torch.Generator())))
    assert modes.value == 1
    assert_close(kl.value, math.log(1000), rtol=1e-12, atol=0)


def oracle(n: int) -> tuple[Tensor, Tensor]:
    """Posteriors and labels of n held-out real images."""
    try:
        data = load("stacked_mnist")
    except MissingResource as error:
        pytest.skip(str(error))
    scorer = load_scorer("stacked_mnist_cnn")
    rows = data.holdout.events(slice(0, n))
    assert data.holdout.y is not None
    return torch.cat([scorer.probs(x) for x in rows.split(500)]), data.holdout.y[:n]


def test_real_images_show_as_many_modes_as_they_have() -> None:
    probs, labels = oracle(400)
    modes, _ = classified_modes(probs)
    assert float((probs.argmax(1) == labels).double().mean()) > 0.96
    assert abs(modes.value - len(labels.unique())) <= 8
    assert abs(modes.value - 1000 * (1 - (1 - 1e-3) ** 400)) < 25  # as many as 400 draws from 1,000 classes hit


@pytest.mark.slow
def test_the_oracle_finds_all_modes_at_the_published_sample_size() -> None:
    modes, kl = classified_modes(oracle(26_000)[0])
    assert modes.value >= 999
    assert 0.0192 - 0.003 < kl.value < 0.03  # the bias of N, and a little for digits that are not equally frequent
