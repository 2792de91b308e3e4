"""Mode counts on a ring of Gaussians whose answers are known."""

import math

import pytest
import torch
from torch.testing import assert_close

from ganbench.data import Mixture
from ganbench.errors import BadInput
from ganbench.metrics.modes import ModeSums, modes
from ganbench.stats import wilson


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def ring():
    angle = torch.arange(8) * 2 * math.pi / 8
    return Mixture(torch.stack([angle.cos(), angle.sin()], 1), 0.01)


def test_quality_interval_of_true_samples_covers_the_chi_probability(ring):
    exact = 1 - math.exp(-4.5)  # P(chi_2 <= 3)
    covered = 0
    for seed in range(400):
        low, high = modes(ring.sample(2500, rng(seed))[0], ring)[1].interval
        covered += low <= exact <= high
    assert 0.90 <= covered / 400 <= 0.98


def test_reverse_kl_of_true_samples_has_its_known_mean(ring):
    kl = [modes(ring.sample(2500, rng(seed))[0], ring)[2].value for seed in range(300)]
    assert_close(sum(kl) / 300, 7 / (2 * 2500 * 0.98889), rtol=0.1, atol=0)


def test_reverse_kl_interval_covers_the_law_it_came_from(ring):
    share = torch.tensor([0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05], dtype=torch.float64)
    truth = float((share * (share * 8).log()).sum())
    covered = 0
    for seed in range(400):
        picks = torch.multinomial(share, 2500, replacement=True, generator=rng(seed))
        score = ModeSums(torch.bincount(picks, minlength=8), 2500, ring, 3.0).scores()[2]
        covered += abs(score.value - score.extra["expected_bias"] - truth) <= 1.96 * score.se
    assert 0.90 <= covered / 400 <= 0.98


def test_collapse_noise_and_one_stray_sample(ring):
    count, good, kl = modes(ring.means[:1].repeat(100, 1), ring)
    assert (count.value, good.value) == (1, 1)
    assert_close(kl.value, math.log(8), rtol=1e-12, atol=0)
    assert count.extra["missing"] == [1, 2, 3, 4, 5, 6, 7]
    count, good, kl = modes(torch.full((100, 2), 9.0), ring)
    assert (count.value, good.value) == (0, 0)
    assert_close(kl.value, math.log(8), rtol=1e-12, atol=0)
    x = torch.cat([ring.means[:1].repeat(2499, 1), ring.means[1:2]])
    count = modes(x, ring)[0]
    assert count.value == 2
    assert count.extra["modes_with_tenth_of_share"] == 1


def test_three_standard_deviations_is_the_border(ring):
    step = torch.tensor([0.0, 1.0])
    x = torch.stack([ring.means[0] + 0.0299 * step, ring.means[0] + 0.0301 * step])
    assert modes(x, ring)[1].value == 0.5


def test_only_the_first_2500_samples_count(ring):
    x = torch.cat([ring.means[:1].repeat(2500, 1), ring.means])
    assert modes(x, ring)[0].value == 1
    assert modes(x, ring, n=3000)[0].value == 8


def test_wrong_dimension_and_nan_are_refused(ring):
    with pytest.raises(BadInput, match="2 dimensions"):
        modes(torch.zeros(5, 3), ring)
    with pytest.raises(BadInput, match="row 1"):
        modes(torch.tensor([[0.0, 0.0], [math.nan, 0.0]]), ring)


def test_intervals_agree_with_known_tables():
    assert_close(torch.tensor(wilson(8, 10)), torch.tensor((0.4902, 0.9433)), rtol=0, atol=1e-4)
