"""Precision, recall, density, coverage, 1-NN test and authenticity: peers, conventions, known answers, errors."""

from __future__ import annotations

import contextlib
import io

import pytest
import torch
from prdc import compute_prdc
from torch_fidelity.metric_prc import prc_features_to_metric

from ganbench.errors import BadConfig
from ganbench.metrics.neighbors import authenticity, nn_two_sample, prdc


def values(x, y, rng, **options):
    return {s.name: s.value for s in prdc(x, y, rng=rng, **options)}


def peer(samples, reference, k):
    with contextlib.redirect_stdout(io.StringIO()):
        return compute_prdc(reference.double().numpy(), samples.double().numpy(), nearest_k=k)


@pytest.mark.parametrize(("n", "m", "d", "scale"), [(300, 300, 8, 1.0), (200, 350, 32, 0.9), (250, 150, 2, 1.3)])
def test_agrees_with_prdc_and_torch_fidelity(rng, n, m, d, scale):
    samples, reference = torch.randn(n, d, generator=rng) * scale, torch.randn(m, d, generator=rng)
    ours = values(samples, reference, rng, k=5)
    assert ours == pytest.approx(peer(samples, reference, 5), abs=1e-12)  # distances never tie here
    theirs = prc_features_to_metric(
        samples.double(), reference.double(), prc_neighborhood=3, prc_batch_size=100, save_cpu_ram=False, verbose=False
    )
    ours = values(samples, reference, rng)
    assert (ours["precision"], ours["recall"]) == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-7)


def test_equal_sets_are_covered_by_themselves(rng):
    x = torch.randn(120, 6, generator=rng)
    ours = values(x, x.flip(0), rng)
    # each ball holds its centre and its k - 1 nearest, not the boundary
    assert ours == pytest.approx({"precision": 1, "recall": 1, "density": 1, "coverage": 1})


def test_all_points_equal_follow_the_boundary_convention(rng):
    ours = values(torch.ones(40, 3), torch.ones(30, 3), rng)
    assert ours == {"precision": 1, "recall": 1, "density": 0, "coverage": 0}


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


def test_bad_k_is_refused(rng):
    x = torch.randn(30, 2, generator=rng)
    with pytest.raises(BadConfig, match="at least 1"):
        prdc(x, x, rng=rng, k=0)
