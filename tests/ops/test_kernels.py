"""Gram sums and MMD^2 against naive float64 loops, closed forms, gradients and scratch."""

from __future__ import annotations

import math
import resource

import pytest
import torch

from ganbench.ops.kernels import (
    RBF,
    InverseMultiquadric,
    Linear,
    Polynomial,
    RationalQuadratic,
    gram_sums,
    gram_within,
    median_distance,
    membership,
    mmd2,
    subset_mmd2,
)

KERNELS = [
    (RBF((1.5,)), lambda a, b: math.exp(-sum((s - t) ** 2 for s, t in zip(a, b, strict=True)) / (2 * 1.5**2))),
    (
        RBF((0.5, 2.0)),
        lambda a, b: sum(
            math.exp(-sum((s - t) ** 2 for s, t in zip(a, b, strict=True)) / (2 * w * w)) for w in (0.5, 2)
        ),
    ),
    (InverseMultiquadric((3.0,)), lambda a, b: 3 / (3 + sum((s - t) ** 2 for s, t in zip(a, b, strict=True)))),
    (
        RationalQuadratic((0.5, 2.0)),
        lambda a, b: sum((1 + sum((s - t) ** 2 for s, t in zip(a, b, strict=True)) / (2 * c)) ** -c for c in (0.5, 2)),
    ),
    (Polynomial(1 / 4), lambda a, b: (sum(s * t for s, t in zip(a, b, strict=True)) / 4 + 1) ** 3),
    (Linear(), lambda a, b: sum(s * t for s, t in zip(a, b, strict=True))),
]


def naive(x, y, k):
    """Biased and unbiased MMD^2 by a loop over pairs of Python floats."""
    x, y = x.double().tolist(), y.double().tolist()
    n, m = len(x), len(y)
    xx, yy, xy = ([[k(a, b) for b in v] for a in u] for u, v in ((x, x), (y, y), (x, y)))
    cross = math.fsum(map(math.fsum, xy)) / (n * m)
    total = [math.fsum(map(math.fsum, g)) for g in (xx, yy)]
    diagonal = [math.fsum(g[i][i] for i in range(len(g))) for g in (xx, yy)]
    biased = total[0] / n**2 + total[1] / m**2 - 2 * cross
    return biased, (total[0] - diagonal[0]) / (n * (n - 1)) + (total[1] - diagonal[1]) / (m * (m - 1)) - 2 * cross


@pytest.mark.parametrize(
    ("kernel", "k"), KERNELS, ids=lambda v: repr(v) if not callable(v) or hasattr(v, "form") else ""
)
def test_tiled_and_dense_agree_with_a_loop_over_pairs(rng, kernel, k):
    x, y = torch.randn(23, 4, generator=rng).double(), (torch.randn(31, 4, generator=rng) * 1.2 + 0.3).double()
    biased, unbiased = naive(x, y, k)
    sums = gram_sums(x, y, kernel, size=8)
    assert sums.biased == pytest.approx(biased, rel=1e-11)
    assert sums.unbiased == pytest.approx(unbiased, rel=1e-11)
    assert float(mmd2(x, y, kernel)) == pytest.approx(biased, rel=1e-11)
    assert float(mmd2(x, y, kernel, "unbiased")) == pytest.approx(unbiased, rel=1e-11)
    # float32 tiles err by about one rounding of a kernel value, averaged
    assert gram_sums(x.float(), y.float(), kernel).unbiased == pytest.approx(unbiased, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("kernel", [k for k, _ in KERNELS], ids=repr)
def test_biased_mmd_of_a_permuted_set_is_zero(rng, kernel):
    x = torch.randn(60, 3, generator=rng, dtype=torch.float64)
    assert gram_sums(x, x[torch.randperm(60, generator=rng)], kernel).biased == pytest.approx(0, abs=1e-13)


@pytest.mark.parametrize("kernel", [k for k, _ in KERNELS], ids=repr)
def test_unbiased_mmd_of_a_set_with_itself_is_the_known_negative_number(rng, kernel):
    x = torch.randn(40, 3, generator=rng, dtype=torch.float64)
    sums = gram_sums(x, x, kernel)
    off_diagonal = float(sums.within_x.sum()) / (40 * 39)
    assert sums.unbiased == pytest.approx(-2 / 40 * (sums.diagonal_x / 40 - off_diagonal), rel=1e-9)
    assert sums.unbiased < 0


def test_float32_inner_products_of_offset_data_keep_six_digits_of_the_difference(rng):
    x, y = torch.rand(300, 784, generator=rng) + 2, torch.rand(300, 784, generator=rng) * 1.05 + 2
    single, double = gram_sums(x, y, Polynomial(1 / 784)), gram_sums(x.double(), y.double(), Polynomial(1 / 784))
    assert single.unbiased == pytest.approx(double.unbiased, rel=2e-5)  # of kernel values 500 times as large


def test_linear_kernel_is_the_squared_distance_of_means(rng):
    x, y = torch.randn(50, 6, generator=rng).double(), torch.randn(70, 6, generator=rng).double() + 1
    expected = float((x.mean(0) - y.mean(0)).square().sum())
    assert gram_sums(x, y, Linear()).biased == pytest.approx(expected, rel=1e-12)


def test_rbf_mmd_of_two_gaussians_has_its_closed_form(rng):
    # E k(x, y) for N(a, I), N(b, I) in d dimensions: (s2 / (s2 + 2))^(d/2) exp(-|a-b|^2 / (2 (s2 + 2)))
    d, s2, shift = 3, 4.0, 1.0
    base = (s2 / (s2 + 2)) ** (d / 2)
    truth = 2 * base * (1 - math.exp(-d * shift**2 / (2 * (s2 + 2))))
    x, y = torch.randn(3000, d, generator=rng).double(), torch.randn(3000, d, generator=rng).double() + shift
    sums = gram_sums(x, y, RBF((2.0,)))
    assert abs(sums.unbiased - truth) < 4 * sums.variance**0.5
    assert sums.variance**0.5 < 0.05 * truth


def test_gradients_are_those_of_autograd_through_the_definition(rng):
    x = torch.randn(12, 3, generator=rng, dtype=torch.float64, requires_grad=True)
    y = torch.randn(9, 3, generator=rng, dtype=torch.float64)
    for kernel, _ in KERNELS:
        assert torch.autograd.gradcheck(lambda v, kernel=kernel: mmd2(v, y, kernel, "unbiased"), x)


def test_variance_is_that_of_repeated_draws_under_equal_and_different_laws(rng):
    for shift in (0.0, 0.5):
        draws = [
            gram_sums(torch.randn(60, 4, generator=rng), torch.randn(90, 4, generator=rng) + shift, RBF((2.0,)))
            for _ in range(400)
        ]
        values = torch.tensor([d.unbiased for d in draws])
        claimed = torch.tensor([d.variance for d in draws]).mean().sqrt()
        assert 0.8 < float(values.std() / claimed) < 1.15  # the estimate is floored, so a little large under equal laws


def test_thin_products_are_those_of_the_dense_matrix(rng):
    x, v = torch.randn(45, 3, generator=rng).double(), torch.randn(45, 4, generator=rng).double()
    k = torch.exp(-(x[:, None] - x).square().sum(-1) / 2).fill_diagonal_(0)
    product, squares = gram_within(x, RBF((1.0,)), v, size=16)
    torch.testing.assert_close(product, k @ v)
    assert squares == pytest.approx(float(k.square().sum()))


def test_subsets_by_membership_columns_are_the_subsets_by_index(rng):
    x, y, kernel = (
        torch.randn(40, 5, generator=rng).double(),
        torch.randn(30, 5, generator=rng).double(),
        Polynomial(0.2),
    )
    i = torch.stack([torch.randperm(40, generator=rng)[:12] for _ in range(3)])
    j = torch.stack([torch.randperm(30, generator=rng)[:12] for _ in range(3)])
    expected = torch.stack([mmd2(x[a], y[b], kernel, "unbiased") for a, b in zip(i, j, strict=True)])
    torch.testing.assert_close(subset_mmd2(x, y, kernel, i, j), expected)
    assert membership(i, 40).sum(0).tolist() == [12.0] * 3


def test_median_is_that_of_all_pairs_and_zero_for_duplicates(rng):
    x = torch.randn(101, 7, generator=rng) + 30
    assert median_distance(x) == pytest.approx(float(torch.pdist(x.double()).median()), rel=1e-9)
    assert median_distance(torch.full((10, 3), 0.1)) == 0
    assert median_distance(torch.cat([torch.full((80, 3), 0.1), x[:20, :3]])) == 0


def test_scratch_does_not_grow_with_the_number_of_pairs(rng):
    x = torch.randn(12000, 8, generator=rng)
    gram_sums(x[:2000], x[2000:4000], RBF((1.0,)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gram_sums(x[:6000], x[6000:], RBF((1.0,)))  # one dense Gram matrix would take 144 MB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # KiB
