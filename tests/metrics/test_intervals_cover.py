"""Intervals contain the truth about as often as they say: 300 simulations a metric."""

from __future__ import annotations

import pytest
import torch

from ganbench.metrics.frechet import frechet
from ganbench.metrics.mmd import kid, mmd
from ganbench.metrics.neighbors import authenticity, nn_two_sample, prdc
from ganbench.metrics.sliced import sliced_wasserstein
from ganbench.metrics.vendi import vendi

REPEATS = 300
pytestmark = pytest.mark.slow


def coverage(scores, truth):
    """Share of intervals, value +- 1.96 se where none is given, that contain the truth."""
    hits = 0
    for score in scores:
        low, high = score.interval or (score.value - 1.96 * score.se, score.value + 1.96 * score.se)
        hits += low <= truth <= high
    return hits / len(scores)


def expectation(draw, repeats=REPEATS):
    """Scores by name over repeats, with the mean value: the truth for estimators with a bias at their n."""
    found = {}
    for _ in range(repeats):
        result = draw()
        for score in result if isinstance(result, list) else [result]:
            found.setdefault(score.name, []).append(score)
    return {name: (scores, sum(s.value for s in scores) / len(scores)) for name, scores in found.items()}


def gaussians(rng, n, m, d, scale=1.0, shift=0.0):
    return torch.randn(n, d, generator=rng) * scale + shift, torch.randn(m, d, generator=rng)


@pytest.mark.parametrize("kernel", ["rbf", "imq"])
def test_mmd(rng, kernel):
    # the unbiased estimator's mean is the truth; its bandwidth is fixed here, so that the truth is one number
    draws = expectation(
        lambda: mmd(*gaussians(rng, 150, 100, 4, shift=0.3), rng=rng, kernel=kernel, bandwidth=2.0), 600
    )
    assert 0.9 <= coverage(*draws["mmd"]) <= 0.98


def test_mmd_of_equal_laws_errs_to_the_safe_side(rng):
    # the first-order part of the variance is zero here, and noise around zero cannot be taken off
    draws = expectation(lambda: mmd(*gaussians(rng, 150, 100, 4), rng=rng, bandwidth=2.0))
    scores, _ = draws["mmd"]
    assert coverage(scores, 0.0) >= 0.95
    spread = torch.tensor([s.value for s in scores]).std()
    claimed = torch.tensor([s.se for s in scores]).square().mean().sqrt()
    assert 1.0 < float(claimed / spread) < 1.5


def test_kid(rng):
    draws = expectation(lambda: kid(*gaussians(rng, 200, 200, 8, shift=0.2), rng=rng, subsets=20, subset_size=60))
    for scores, _ in draws.values():
        assert 0.9 <= coverage(scores, draws["kid_full"][1]) <= 0.98


def test_kid_without_the_full_pass_errs_to_the_safe_side(rng):
    draws = expectation(
        lambda: kid(*gaussians(rng, 200, 200, 8, shift=0.2), rng=rng, subsets=20, subset_size=60, full=False)
    )
    assert 0.9 <= coverage(*draws["kid"]) <= 1.0


def test_sliced_wasserstein_over_directions(rng):
    # its error is of directions, so the truth is the value over very many of them for the same sets
    x, y = gaussians(rng, 80, 60, 5, scale=1.5)
    truth = sliced_wasserstein(x, y, rng=rng, n_directions=200_000).value
    for kind in ("orthogonal", "gaussian"):
        scores = [sliced_wasserstein(x, y, rng=rng, n_directions=100, kind=kind) for _ in range(REPEATS)]
        assert 0.9 <= coverage(scores, truth) <= 0.98


def test_frechet_around_its_expectation(rng):
    draws = expectation(lambda: frechet(*gaussians(rng, 300, 300, 6, scale=1.2, shift=0.2), rng=rng, extrapolation=0))
    assert 0.9 <= coverage(*draws["frechet"]) <= 0.98


@pytest.mark.parametrize(
    ("n", "m", "d", "scale", "shift"), [(1000, 1000, 8, 1.0, 0.0), (500, 1000, 16, 0.8, 0.12), (150, 120, 4, 1.2, 0.2)]
)
def test_precision_recall_density_coverage_around_their_expectations(rng, n, m, d, scale, shift):
    # The truth is the expectation at this n and m. Of 300 intervals that hold it with probability .95, 270 to 294 do
    # so but once in 350 times (binomial): the bounds hold the slack of four standard deviations below, of 2.4 above.
    draws = expectation(lambda: prdc(*gaussians(rng, n, m, d, scale, shift), rng=rng))
    assert {name: 0.9 <= coverage(*draw) <= 0.98 for name, draw in draws.items()} == dict.fromkeys(draws, True)


def test_one_nearest_neighbour(rng):
    draws = expectation(lambda: nn_two_sample(*gaussians(rng, 200, 150, 3)))
    assert 0.9 <= coverage(draws["nn_two_sample"][0], (200 * 199 + 150 * 149) / (350 * 349)) <= 0.98


def test_authenticity_for_a_fixed_training_set(rng):
    train = torch.randn(300, 4, generator=rng)
    truth = authenticity(torch.randn(50_000, 4, generator=rng), train).value
    scores = [authenticity(torch.randn(200, 4, generator=rng), train) for _ in range(REPEATS)]
    assert 0.9 <= coverage(scores, truth) <= 0.98


def test_vendi_around_its_expectation(rng):
    draws = expectation(lambda: vendi(torch.randn(300, 6, generator=rng) + 0.5))
    assert 0.9 <= coverage(*draws["vendi"]) <= 0.98
