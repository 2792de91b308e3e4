"""Precision, recall, density, coverage, 1-NN test and authenticity: peers, conventions, known answers, errors."""

from __future__ import annotations

import contextlib
import io
import time

import pytest
import torch
from prdc import compute_prdc
from torch_fidelity.metric_prc import prc_features_to_metric

from ganbench.errors import BadConfig, BadInput
from ganbench.metrics.neighbors import authenticity, nn_two_sample, prdc
from ganbench.ops.neighbors import nearest, nearest_both
from ganbench.registry import METRICS

TWO_SETS = {"samples", "features", "reference", "reference_features", "holdout", "train_features", "space", "rng"}


def values(x, y, rng, **options):
    return {s.name: s.value for s in prdc(x, y, rng=rng, **options)}


def peer(samples, reference, k):
    with contextlib.redirect_stdout(io.StringIO()):
        return compute_prdc(reference.double().numpy(), samples.double().numpy(), nearest_k=k)


@pytest.mark.parametrize(("n", "m", "d", "scale"), [(300, 300, 8, 1.0), (200, 350, 32, 0.9), (250, 150, 2, 1.3)])
def test_agrees_with_prdc_and_torch_fidelity(rng, n, m, d, scale):
    samples, reference = torch.randn(n, d, generator=rng) * scale, torch.randn(m, d, generator=rng)
    ours = values(samples, reference, rng, k=5)
    del ours["f1"]  # which the peer does not have
    assert ours == pytest.approx(peer(samples, reference, 5), abs=1e-12)  # distances never tie here
    theirs = prc_features_to_metric(
        samples.double(), reference.double(), prc_neighborhood=3, prc_batch_size=100, save_cpu_ram=False, verbose=False
    )
    ours = values(samples, reference, rng)
    names = {"precision": "precision", "recall": "recall", "f1": "f_score"}
    assert {n: ours[n] for n in names} == pytest.approx({n: theirs[t] for n, t in names.items()}, abs=1e-7)


def test_equal_sets_are_covered_by_themselves(rng):
    x = torch.randn(120, 6, generator=rng)
    ours = values(x, x.flip(0), rng)
    # each ball holds its centre and its k - 1 nearest, not the boundary
    assert ours == pytest.approx({"precision": 1, "recall": 1, "density": 1, "coverage": 1, "f1": 1})


def test_all_points_equal_follow_the_boundary_convention(rng):
    ours = values(torch.ones(40, 3), torch.ones(30, 3), rng)
    assert ours == {"precision": 1, "recall": 1, "density": 0, "coverage": 0, "f1": 1}


def test_disjoint_clouds_score_zero_and_a_tight_core_is_precise_but_misses(rng):
    reference = torch.randn(400, 4, generator=rng)
    assert set(values(reference + 100, reference, rng).values()) == {0}
    core = values(torch.randn(400, 4, generator=rng) * 0.3, reference, rng)
    assert core["precision"] > 0.95 > 0.5 > core["recall"]  # the order of arguments


def test_coverage_under_equal_laws_is_the_known_probability(rng):
    # 1 - prod_{i=1..k} (N - i)/(N + M - i), and density 1
    n, m, k = 90, 80, 5  # too few for blocks, whose errors are not asked for here
    expected = 1.0
    for i in range(1, k + 1):
        expected *= (n - i) / (n + m - i)
    draws = [
        values(torch.randn(m, 3, generator=rng), torch.randn(n, 3, generator=rng), rng, k_density=k) for _ in range(100)
    ]
    coverage, density = (torch.tensor([d[name] for d in draws]) for name in ("coverage", "density"))
    assert abs(float(coverage.mean()) - (1 - expected)) < 4 * float(coverage.std()) / 100**0.5
    assert abs(float(density.mean()) - 1) < 4 * float(density.std()) / 100**0.5


def test_one_nearest_neighbour_extremes(rng):
    x = torch.randn(150, 5, generator=rng)
    assert nn_two_sample(x + 50, x).value == 1
    assert nn_two_sample(x.flip(0), x).value == 0  # every nearest is the copy in the other set
    assert nn_two_sample(torch.ones(20, 2), torch.ones(20, 2)).value == 0.5  # ties count one half
    same = nn_two_sample(torch.randn(1000, 5, generator=rng), torch.randn(1000, 5, generator=rng))
    assert same.extra["expected"] == pytest.approx(999 / 1999)
    assert abs(same.value - 999 / 1999) < 4 * same.se
    collapsed = nn_two_sample(x[:1] + 0.01 * torch.randn(150, 5, generator=rng), x)
    assert collapsed.extra["samples"] > 0.95
    assert collapsed.extra["reference"] > 0.95


def test_nn_accuracy_equals_a_leave_one_out_loop(rng):
    x, y = torch.randn(40, 3, generator=rng).double(), torch.randn(60, 3, generator=rng).double() + 0.3
    pooled = torch.cat([x, y])
    distances = torch.cdist(pooled, pooled).fill_diagonal_(torch.inf)
    label = torch.arange(100) >= 40
    expected = float((label[distances.argmin(1)] == label).double().mean())
    assert nn_two_sample(x, y).value == pytest.approx(expected)


def test_authenticity_knows_copies_from_draws(rng):
    train = torch.randn(800, 4, generator=rng)
    copies = authenticity(train[:100], train)
    assert copies.value == 0
    assert copies.extra["exact_copies"] == 100
    fresh = authenticity(torch.randn(800, 4, generator=rng), train)
    assert fresh.interval[0] < fresh.value < fresh.interval[1]
    assert 0.4 < fresh.value < 0.6
    assert authenticity(train + 20, train).value > 0.95


@pytest.mark.parametrize(("d", "share"), [(1, 0.33), (4, 0.46), (16, 0.70), (256, 0.87)])
def test_authenticity_of_fresh_draws_hangs_on_the_dimension(rng, d, share):
    # in one dimension it is 1/3: of a sample and the two rows around it no one is likelier to be in the smaller gap
    draws = [authenticity(torch.randn(1500, d, generator=rng), torch.randn(1500, d, generator=rng)) for _ in range(2)]
    assert sum(s.value for s in draws) / 2 == pytest.approx(share, abs=0.05)
    assert draws[0].direction == "floor"


def clusters(rng, n, eps, dtype=torch.float32):
    """Collapsed samples: 10 events of 100 numbers, each with its own noise."""
    centres = torch.randn(10, 100, generator=rng, dtype=dtype)
    return centres[torch.arange(n) % 10] + eps * torch.randn(n, 100, generator=rng, dtype=dtype)


@pytest.mark.parametrize(
    ("eps", "dtype"), [(1e-2, torch.float32), (1e-4, torch.float32), (1e-6, torch.float32), (1e-9, torch.float64)]
)
def test_neighbours_in_tight_clusters_are_exact(rng, eps, dtype):
    x, y = clusters(rng, 300, eps, dtype), clusters(rng, 200, eps, dtype)
    y = torch.cat([y, x[:40] + eps / 10 * torch.randn(40, 100, generator=rng, dtype=dtype), x[:10]])
    x[50:60] = x[40]  # copies

    def direct(a, b):
        return torch.stack([(b.double() - row.double()).square().sum(1) for row in a])

    within = direct(x, x).fill_diagonal_(torch.inf).topk(3, largest=False).values
    torch.testing.assert_close(nearest(x, k=3).squares, within, rtol=1e-12, atol=0)
    found = nearest(x, k=3)
    assert not bool((found.index == torch.arange(300)[:, None]).any())  # no row is its own neighbour
    to_y, to_x = nearest_both(x, y, 2)
    torch.testing.assert_close(to_y.squares, direct(x, y).topk(2, largest=False).values, rtol=1e-12, atol=0)
    torch.testing.assert_close(to_x.squares, direct(y, x).topk(2, largest=False).values, rtol=1e-12, atol=0)


def test_precision_and_recall_of_two_collapsed_sets_are_those_of_doubles(rng):
    centres = torch.randn(10, 100, generator=rng)[torch.arange(300) % 10]
    x, y = (centres + 1e-4 * torch.randn(300, 100, generator=rng) for _ in range(2))
    # the single-precision screen cannot tell these distances apart
    ours, doubles = values(x, y, rng), values(x.double(), y.double(), rng)
    assert ours == doubles
    del doubles["f1"]
    direct = peer(x, y, 3)
    assert (ours["precision"], ours["recall"]) == pytest.approx((direct["precision"], direct["recall"]), abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", [e.name for e in METRICS if set(e.needs) <= TWO_SETS and e.name != "fid"])
def test_collapsed_samples_cost_at_most_three_times_spread_ones(rng, name):
    n, d = 1500, 784
    spread, reference, holdout, train = (torch.randn(n, d, generator=rng) / 2 for _ in range(4))
    centres = torch.randn(10, d, generator=rng) / 2
    collapsed = centres[torch.arange(n) % 10] + 1e-4 * torch.randn(n, d, generator=rng)
    function, needs = METRICS.load(name), METRICS.get(name).needs
    real = {"reference": reference, "reference_features": reference, "holdout": holdout, "train_features": train}

    def seconds(x):
        given = {**real, "samples": x, "features": x, "space": "x", "rng": torch.Generator().manual_seed(0)}
        start = time.thread_time()
        try:
            function(**{need: given[need] for need in needs})
        except BadInput as reason:
            pytest.skip(str(reason))
        return time.thread_time() - start

    base = min(seconds(spread) for _ in range(2))
    assert min(seconds(collapsed) for _ in range(2)) <= 3 * base


def test_bad_k_is_refused(rng):
    x = torch.randn(30, 2, generator=rng)
    with pytest.raises(BadConfig, match="at least 1"):
        prdc(x, x, rng=rng, k=0)
