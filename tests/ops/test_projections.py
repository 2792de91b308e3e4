"""Sorted projections: exact lines for any sizes, directions, losses and the worst direction."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from scipy.stats import wasserstein_distance

from ganbench.ops.sliced import (
    max_sliced_direction,
    merged_quantiles,
    random_directions,
    sliced_wasserstein,
    sliced_wasserstein_loss,
    sort_rows_,
    transport_on_lines,
)


@pytest.mark.parametrize("kind", ["orthogonal", "gaussian"])
def test_directions_are_unit_and_uniform(rng, kind):
    theta = random_directions(6000, 3, rng, kind, torch.float64)
    torch.testing.assert_close(theta.norm(dim=1), torch.ones(6000, dtype=torch.float64))
    # uniform on the sphere: mean 0, covariance I/3, and each coordinate uniform on [-1, 1] (Archimedes)
    torch.testing.assert_close(theta.mean(0), torch.zeros(3).double(), atol=0.03, rtol=0)
    torch.testing.assert_close(theta.T @ theta / 6000, torch.eye(3).double() / 3, atol=0.02, rtol=0)
    torch.testing.assert_close(
        (theta.abs() < 0.25).double().mean(0), torch.full((3,), 0.25).double(), atol=0.02, rtol=0
    )


def test_orthogonal_blocks_are_orthonormal(rng):
    theta = random_directions(10, 4, rng, dtype=torch.float64)
    for block in (theta[:4], theta[4:8], theta[8:]):
        torch.testing.assert_close(block @ block.T, torch.eye(len(block)).double())


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5])
@pytest.mark.parametrize(("n", "m"), [(40, 40), (40, 60), (17, 5), (1, 7), (31, 32)])
def test_lines_agree_with_exact_transport(rng, n, m, p):
    a, b = torch.randn(1, n, generator=rng).double(), torch.randn(1, m, generator=rng).double() * 2
    got = float(transport_on_lines(sort_rows_(a.clone()), sort_rows_(b.clone()), p))
    cost = (a[0, :, None] - b[0, None]).abs().pow(p).numpy()
    assert got == pytest.approx(ot.emd2([], [], cost, numItermax=10**7), rel=1e-9)
    if p == 1:
        assert got == pytest.approx(wasserstein_distance(a[0].numpy(), b[0].numpy()), rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 3), (6, 4), (7, 7), (1, 9)])
def test_merged_quantiles_partition_the_unit_interval(n, m):
    i, j, widths = merged_quantiles(n, m)
    assert len(i) == n + m - np.gcd(n, m)
    torch.testing.assert_close(torch.bincount(i, widths), torch.full((n,), 1 / n, dtype=torch.float64))
    torch.testing.assert_close(torch.bincount(j, widths), torch.full((m,), 1 / m, dtype=torch.float64))


@pytest.mark.parametrize(("n", "m"), [(300, 300), (300, 200)])
def test_agrees_with_pot_on_given_directions(rng, n, m):
    x, y = torch.randn(n, 12, generator=rng), torch.randn(m, 12, generator=rng) + 0.5
    theta = random_directions(50, 12, rng)
    for p in (1, 2):
        theirs = ot.sliced_wasserstein_distance(
            x.double().numpy(), y.double().numpy(), projections=theta.double().numpy().T, p=p
        )
        # float32 projections err by about 1e-7 of the data's scale
        assert float(sliced_wasserstein(x, y, theta, p).mean()) ** (1 / p) == pytest.approx(theirs, rel=2e-6)
        exact = sliced_wasserstein(x.double(), y.double(), theta.double(), p)
        assert float(exact.mean()) ** (1 / p) == pytest.approx(theirs, rel=1e-12)


def test_blocks_of_directions_and_offsets_do_not_move_the_value(rng, monkeypatch):
    x, y = torch.randn(50, 6, generator=rng), torch.randn(50, 6, generator=rng)
    theta = random_directions(20, 6, rng)
    whole = sliced_wasserstein(x, y, theta)
    monkeypatch.setattr("ganbench.ops.sliced.BLOCK_ELEMENTS", 150)
    torch.testing.assert_close(sliced_wasserstein(x, y, theta), whole, rtol=1e-6, atol=0)
    torch.testing.assert_close(sliced_wasserstein(x + 512, y + 512, theta), whole, rtol=1e-3, atol=1e-6)


def test_loss_equals_the_metric_and_its_gradient_is_right(rng):
    x = torch.randn(15, 3, generator=rng, dtype=torch.float64, requires_grad=True)
    theta = random_directions(6, 3, rng, dtype=torch.float64)
    for m in (15, 10):
        y = torch.randn(m, 3, generator=rng, dtype=torch.float64)
        loss = sliced_wasserstein_loss(x, y, theta)
        torch.testing.assert_close(loss.detach(), sliced_wasserstein(x.detach(), y, theta).mean())
        assert torch.autograd.gradcheck(lambda v, y=y: sliced_wasserstein_loss(v, y, theta), x)


def test_max_sliced_finds_the_planted_direction(rng):
    x, y = torch.randn(2000, 8, generator=rng), torch.randn(2000, 8, generator=rng)
    planted = torch.nn.functional.normalize(torch.randn(8, generator=rng), dim=0)
    y = y + 2 * (y @ planted)[:, None] * planted  # three times wider along one direction only
    theta, value = max_sliced_direction(x, y, random_directions(4, 8, rng))
    assert abs(float(theta @ planted.double())) > 0.99
    assert value == pytest.approx(4.0, rel=0.1)  # W2^2 between N(0, 1) and N(0, 9)


def test_max_sliced_of_a_translation_is_its_length(rng):
    x, t = torch.randn(100, 5, generator=rng).double(), torch.randn(5, generator=rng).double()
    _, value = max_sliced_direction(x, x + t, random_directions(3, 5, rng, dtype=torch.float64), steps=200)
    assert value == pytest.approx(float(t.square().sum()), rel=1e-6)


def test_threads_sort_what_one_thread_sorts(rng):
    rows = torch.randn(9, 1000, generator=rng)
    try:
        torch.set_num_threads(2)
        two = sort_rows_(rows.clone())
    finally:
        torch.set_num_threads(1)
    assert torch.equal(two, rows.sort(1).values)
