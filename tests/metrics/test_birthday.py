"""The birthday test recovers known supports, finds memorisers, and does not accuse fresh data."""

import math
import os
from pathlib import Path

import pytest
import torch
from scipy.stats import chi2
from torch.testing import assert_close

from ganbench.errors import BadInput
from ganbench.metrics.birthday import birthday, calibrate, collisions, first_collisions, pairs_interval
from ganbench.ops.closest_pairs import closest_pairs


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=rng(seed))


def draw(support, n, seed, probability=None):
    """n draws from a pool of `support` distinct events."""
    pool = normal(support, 12, seed=support)
    if probability is None:
        return pool[torch.randint(support, (n,), generator=rng(seed))]
    return pool[torch.multinomial(probability, n, replacement=True, generator=rng(seed))]


REAL = normal(1000, 12, seed=99)


@pytest.mark.parametrize("support", [100, 1000, 10_000])
def test_a_known_support_lies_in_the_interval_19_times_in_20(support):
    n, inside = 1500, 0
    for seed in range(100):
        low, high = pairs_interval(collisions(draw(support, n, seed), 1e-6))
        inside += low <= n * (n - 1) / 2 / support <= high
    assert inside >= 90
    score = birthday(draw(support, n, 7), REAL, rng=rng())
    assert 0.7 * support < score.interval[0] < score.value < score.interval[1] < 1.4 * support
    assert_close(score.value, n * (n - 1) / 2 / score.extra["pairs"], rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", ["uniform", "few events take most"])
def test_interval_covers_the_inverse_collision_probability(kind):
    support, n = 300, 400
    p = torch.ones(support) if kind == "uniform" else 1 / torch.arange(1, support + 1).float()
    p = p.double() / p.double().sum()
    q = float(p.square().sum())
    covered = 0
    for seed in range(400):
        low, high = pairs_interval(collisions(draw(support, n, seed, p), 1e-6))
        covered += low <= q * n * (n - 1) / 2 <= high
    assert 0.90 <= covered / 400 <= 0.99  # a count of near-Poisson pairs: Garwood's interval is conservative


def test_size_at_half_is_that_of_the_birthday_problem():
    x = draw(365, 3000, 3)
    score = birthday(x, REAL, rng=rng(), n=3000, permutations=1000)
    assert abs(score.extra["size_50"] - 23) <= 2
    share = dict(map(tuple, score.extra["collision_share"]))
    exact = 1 - math.prod(1 - i / 365 for i in range(20))
    assert_close(share[20], exact, rtol=0, atol=0.06)
    assert abs(score.extra["support_uniform"] / 365 - 1) < 0.25


def test_first_collision_is_the_earliest_pair_of_the_order():
    found = collisions(torch.tensor([[0.0], [5.0], [0.0], [5.0], [9.0]]), 1e-9)
    assert found.pairs.tolist() == [[0, 2], [1, 3]]
    first = first_collisions(found, 3000, rng())
    assert int(first.min()) == 2
    assert int(first.max()) == 4  # three draws may miss both pairs, four cannot
    assert_close(float((first == 2).double().mean()), 0.2, rtol=0, atol=0.03)  # 2 pairs of 10


@pytest.mark.parametrize("threshold", [0.8, 2.5])  # few pairs, and half of them
def test_collisions_are_those_of_all_pairs(threshold):
    x = normal(1100, 5)
    found = collisions(x, threshold)
    d = torch.cdist(x.double(), x.double(), compute_mode="donot_use_mm_for_euclid_dist")
    i, j = torch.triu_indices(1100, 1100, 1)
    near = d[i, j] <= threshold
    torch.testing.assert_close(found.distances, d[found.pairs[:, 0], found.pairs[:, 1]], rtol=1e-9, atol=0)
    assert sorted(map(tuple, found.pairs.tolist())) == sorted(zip(i[near].tolist(), j[near].tolist(), strict=True))


def test_threshold_gives_as_many_false_pairs_as_asked_for():
    pairs = []
    for seed in range(60):
        real, fresh = normal(800, 6, seed=seed), normal(800, 6, seed=1000 + seed)
        line = calibrate(real, 800, 2.0, rng(seed))
        pairs.append(len(collisions(fresh, line.threshold).pairs))
        assert 2 < line.dimension < 20
    assert 1.2 <= sum(pairs) / 60 <= 4.0


@pytest.mark.parametrize(("d", "n"), [(2, 1000), (6, 200), (12, 2000)])
def test_false_pairs_are_as_rare_as_stated(d, n):
    # |x - y|^2 / 2 is chi^2 of d, so the expected pairs below a threshold are known, and only thresholds are simulated
    lines = [calibrate(normal(500, d, seed=s), n, 0.05, rng(s)).threshold for s in range(200)]
    pairs = torch.tensor([n * (n - 1) / 2 * chi2.cdf(t**2 / 2, d) for t in lines], dtype=torch.float64)
    assert float(pairs.mean()) <= 0.05 + 3 * float(pairs.std()) / 200**0.5
    assert float(pairs.mean()) >= 0.01  # no power is given away; near zero the law of a Gaussian bends to fewer pairs


@pytest.mark.parametrize("levels", [2, 5])
@pytest.mark.parametrize("d", [3, 6, 14])
def test_a_lattice_has_as_many_events_as_it_has_points(levels, d):
    x, real = (torch.randint(levels, (1500, d), generator=rng(s)).float() for s in (1, 2))
    score = birthday(x, real, rng=rng())
    assert 0 < score.extra["threshold"] < float(closest_pairs(real.unique(dim=0), 1)[1])
    if levels**d < 1500**2 / 20:  # tens of pairs
        assert score.extra["near_pairs"] == 0  # exact copies alone are one event
        low, high = score.interval
        assert 0.95 * low <= levels**d <= 1.05 * high
        assert 0.8 < score.extra["pairs"] / score.extra["expected_real_pairs"] < 1.25 or score.extra["pairs"] < 200


def test_the_lower_bound_holds_19_times_in_20_with_pairs_and_without():
    for support, n in ((3000, 40), (3000, 200)):  # a quarter of one pair, and 6.6
        bounds = []
        for seed in range(400):
            found = collisions(torch.randint(support, (n, 1), generator=rng(seed)).float(), 0.1)
            bounds.append(found.n_pairs / pairs_interval(found, level=0.9)[1])
        held = sum(b <= support for b in bounds) / 400
        assert held >= 0.93  # four standard deviations below .95 is .906; a count is discrete, so bounds hold oftener


def test_fresh_data_are_not_accused():
    accused = sum(not birthday(normal(1000, 12, seed=s), REAL, rng=rng()).extra["censored"] for s in range(40))
    assert accused <= 8  # about .05 expected pairs, with one threshold read off 1000 real events
    score = birthday(normal(1000, 12), REAL, rng=rng())
    assert score.interval is None
    assert score.value == 1000 * 999 / 2
    assert_close(score.extra["lower_bound"], score.value / -math.log(0.05), rtol=1e-9, atol=0)  # P(no pair) = .05
    assert score.extra["size_50"] is None


def test_exact_near_and_constant_pairs_are_counted_apart():
    x = torch.rand(60, 1, 6, 6, generator=rng())
    x[1] = x[0]
    x[3] = x[2] + 1e-4
    x[10:20] = 0.25
    score = birthday(x, torch.rand(80, 1, 6, 6, generator=rng(1)), rng=rng(), sheet=50)
    assert score.extra["constant_images"] == 10
    assert score.extra["constant_pairs"] == 45
    assert score.extra["near_pairs"] == 1
    assert score.extra["exact_pairs"] == 46
    flagged = {tuple(sorted((i, j))) for i, j, _ in score.extra["closest_pairs"]}
    assert {(0, 1), (2, 3)} <= flagged
    assert_close(score.extra["size_without_constant"], 50 * 49 / 2 / 2, rtol=1e-12, atol=0)


def test_order_and_batches_do_not_matter():
    x = draw(500, 2000, 1)
    order = torch.randperm(2000, generator=rng())
    assert birthday(x, REAL, rng=rng()).value == birthday(x[order], REAL, rng=rng()).value


def mnist(split):
    root = Path(os.environ.get("GANBENCH_DATA", "")) / "MNIST" / "raw" / f"{split}-images-idx3-ubyte"
    if not os.environ.get("GANBENCH_DATA") or not root.is_file():
        pytest.skip("GANBENCH_DATA does not hold MNIST")
    raw = torch.frombuffer(bytearray(root.read_bytes()[16:]), dtype=torch.uint8).view(-1, 1, 28, 28)
    return raw.float() / 127.5 - 1


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_memoriser_of_500_mnist_images_is_found_out(noise):
    train, test = mnist("train"), mnist("t10k")
    stolen = train[torch.randint(500, (2000,), generator=rng())]
    score = birthday(stolen + noise * torch.randn(stolen.shape, generator=rng()), test[:3000], rng=rng())
    assert score.interval[0] <= 500 <= score.interval[1]
    honest = birthday(train[10_000:12_000], test[:3000], rng=rng())
    assert honest.value > 100 * score.value


@pytest.mark.parametrize(
    ("samples", "holdout", "message"),
    [
        (normal(1, 3), normal(60, 3), "samples must hold at least 2"),
        (normal(9, 3), normal(49, 3), "holdout must hold at least 50"),
        (normal(9, 3), torch.ones(60, 3), "at least 3 distinct"),
        (normal(9, 3), normal(60, 4), "share an event shape"),
        (normal(9, 3) / 0, normal(60, 3), "samples must be finite"),
    ],
)
def test_bad_input_is_refused_by_name(samples, holdout, message):
    with pytest.raises(BadInput, match=message):
        birthday(samples, holdout, rng=rng())
