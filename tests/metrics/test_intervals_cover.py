"""Intervals contain the truth about as often as they say: 300 simulations a metric."""

from __future__ import annotations

import pytest
import torch

from ganbench.data import Mixture
from ganbench.metrics.birthday import birthday
from ganbench.metrics.frechet import frechet
from ganbench.metrics.inception import inception_score, mode_score
from ganbench.metrics.mmd import kid, mmd
from ganbench.metrics.modes import modes
from ganbench.metrics.neighbors import authenticity, nn_two_sample, prdc
from ganbench.metrics.precision_recall_curve import prd
from ganbench.metrics.pyramid import lp_swd
from ganbench.metrics.sliced import sliced_wasserstein
from ganbench.metrics.vendi import vendi
from ganbench.metrics.wasserstein import wasserstein

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


@pytest.mark.parametrize("p", [1, 2])
def test_sliced_wasserstein_around_its_expectation(rng, p):
    draws = expectation(
        lambda: sliced_wasserstein(*gaussians(rng, 150, 120, 5, scale=1.4, shift=0.2), rng=rng, p=p, n_directions=200)
    )
    assert 0.9 <= coverage(*draws["sliced_wasserstein"]) <= 0.99


@pytest.mark.parametrize("p", [1, 2])
def test_sliced_wasserstein_of_equal_laws_errs_to_the_safe_side(rng, p):
    draws = expectation(lambda: sliced_wasserstein(*gaussians(rng, 300, 300, 2), rng=rng, p=p, n_directions=100))
    scores, mean = draws["sliced_wasserstein"]
    spread = torch.tensor([s.value - mean for s in scores]).square().mean().sqrt()
    assert 1.0 < float(torch.tensor([s.se for s in scores]).mean() / spread) < 1.8
    assert coverage(scores, mean) >= 0.95


def test_prd_around_its_expectation(rng):
    draws = expectation(lambda: prd(*gaussians(rng, 200, 200, 4, shift=0.6), rng=rng, clusterings=2), 100)
    for draw in draws.values():
        assert coverage(*draw) >= 0.87  # 100 draws tell .95 to .02


def test_pyramids_around_their_expectation_err_to_the_safe_side(rng):
    # patches' normalisation is taken as given, which leaves a part of an image's influence unopposed
    def draw():
        x, y = (torch.rand(60, 1, 8, 8, generator=rng) * torch.rand(60, 1, 1, 1, generator=rng) for _ in range(2))
        return lp_swd(x.sqrt(), y, rng=rng, patches=4, n_directions=64)

    assert 0.92 <= coverage(*expectation(draw)["lp_swd"]) <= 1.0


def test_exact_wasserstein_around_its_expectation(rng):
    draws = expectation(lambda: wasserstein(*gaussians(rng, 120, 100, 3, scale=1.3, shift=0.3), rng=rng))
    assert 0.9 <= coverage(*draws["wasserstein"]) <= 0.995


def posteriors(rng, n, sharpness=2.0):
    """Class posteriors of softmax logits, one class favoured by each row."""
    logits = torch.randn(n, 6, generator=rng, dtype=torch.float64)
    logits[torch.arange(n), torch.randint(6, (n,), generator=rng)] += sharpness
    return torch.softmax(logits, 1)


def test_inception_and_mode_scores_around_their_expectations(rng):
    draws = expectation(lambda: inception_score(posteriors(rng, 400), rng=rng, splits=4))
    assert 0.9 <= coverage(*draws["inception_score"]) <= 0.99
    draws = expectation(lambda: mode_score(posteriors(rng, 300), posteriors(rng, 250, 1.0)))
    assert 0.9 <= coverage(*draws["mode_score"]) <= 0.99


def test_reverse_kl_of_modes_around_its_expectation(rng):
    means = torch.eye(6)
    mixture = Mixture(means, 0.05)
    weights = torch.tensor([0.3, 0.25, 0.2, 0.1, 0.1, 0.05])

    def draw():
        k = torch.multinomial(weights, 500, replacement=True, generator=rng)
        return modes(means[k] + 0.05 * torch.randn(500, 6, generator=rng), mixture)[2]

    assert 0.9 <= coverage(*expectation(draw)["modes_reverse_kl"]) <= 0.99


def test_birthday_of_a_known_support(rng):
    real = torch.randn(200, 8, generator=rng)
    pool = torch.randn(500, 8, generator=rng)
    scores = [birthday(pool[torch.randint(500, (400,), generator=rng)], real, rng=rng) for _ in range(REPEATS)]
    assert 0.92 <= coverage(scores, 500.0) <= 0.99


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
