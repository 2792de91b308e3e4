"""Frechet distance and Vendi score: closed forms, torch-fidelity, singular cases, shards, errors, extrapolation."""

from __future__ import annotations

import time

import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from ganbench.errors import BadConfig, BadInput, NotApplicable
from ganbench.metrics.frechet import Features, Moments, Rows, fid, frechet, frechet_distance
from ganbench.metrics.vendi import vendi


def population(mean, covariance, n=1000):
    """Moments whose unbiased covariance is the given one."""
    return Moments(n, mean.double(), covariance.double() * (n - 1))


def fidelity(x, y):
    statistics = [fid_features_to_statistics(v.double()) for v in (x, y)]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


def test_isotropic_gaussians_have_their_closed_form():
    # |m|^2 + d (1 - s)^2
    a = population(torch.full((7,), 0.5), 4.0 * torch.eye(7))
    assert frechet_distance(a, population(torch.zeros(7), torch.eye(7))) == pytest.approx(7 * 0.25 + 7, rel=1e-12)


def test_commuting_covariances_have_their_closed_form(rng):
    q = torch.linalg.qr(torch.randn(6, 6, generator=rng).double())[0]
    a, b = torch.rand(6, generator=rng).double(), torch.rand(6, generator=rng).double()
    b[0] = 0.0  # singular
    got = frechet_distance(population(torch.zeros(6), q * a @ q.T), population(torch.zeros(6), q * b @ q.T))
    assert got == pytest.approx(float((a.sqrt() - b.sqrt()).square().sum()), rel=1e-10)


@pytest.mark.parametrize(("n", "m", "d"), [(300, 400, 20), (500, 100, 64)])
def test_agrees_with_torch_fidelity(rng, n, m, d):
    x, y = torch.randn(n, d, generator=rng), torch.randn(m, d, generator=rng) * 1.2 + 0.1
    score = frechet(x, y, rng=rng)
    assert score.value == pytest.approx(fidelity(x, y), rel=1e-8)
    named = fid(x, y, rng=rng, space="inception-tf2015@00000000")
    assert named.value == score.value
    assert named.signature.startswith("fid|")


def test_identical_sets_are_at_zero_also_below_full_rank(rng):
    for n in (200, 20):
        x = torch.randn(n, 50, generator=rng)
        assert frechet(x, x.flip(0), rng=rng).value == pytest.approx(0, abs=1e-10)


def test_few_rows_constant_features_and_one_image_are_finite(rng):
    y = torch.randn(10, 40, generator=rng)
    y[:, 3] = 2.0
    one = y[:1].expand(12, -1)
    score = frechet(one, y, rng=rng)
    # a point mass: |m1 - m2|^2 + tr S2
    expected = float((one[0].double() - y.double().mean(0)).square().sum() + y.double().var(0).sum())
    assert score.value == pytest.approx(expected, rel=1e-10)
    assert score.se > 0


def test_shards_merge_to_the_moments_of_the_whole(rng):
    x = torch.randn(101, 5, generator=rng) * 3 + 100
    whole = Moments.of(x)
    for size in (1, 7, 101):
        parts = [Moments.of(part) for part in x.split(size)]
        merged = parts[0]
        for part in parts[1:]:
            merged = merged + part
        torch.testing.assert_close(merged.mean, whole.mean, rtol=1e-12, atol=0)
        torch.testing.assert_close(merged.covariance, whole.covariance, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(whole.covariance, torch.cov(x.double().T), rtol=1e-10, atol=1e-12)


def test_the_error_is_that_of_repeated_draws_and_extrapolation_removes_the_samples_bias(rng):
    reference = torch.randn(20_000, 8, generator=rng)
    scores = [frechet(torch.randn(400, 8, generator=rng) * 1.3 + 0.1, reference, rng=rng) for _ in range(120)]
    values = torch.tensor([s.value for s in scores])
    claimed = torch.tensor([s.se for s in scores]).mean()
    assert 0.8 < float(values.std() / claimed) < 1.25
    truth = 8 * 0.1**2 + 8 * 0.3**2
    extrapolated = torch.tensor([s.extra["infinite_n"] for s in scores])
    claimed = torch.tensor([s.extra["infinite_n_se"] for s in scores]).mean()
    assert 0.8 < float(extrapolated.std() / claimed) < 1.25
    assert float(values.mean()) - truth > 0.04  # the bias that the extrapolation is for
    assert abs(float(extrapolated.mean()) - truth) < 0.3 * (float(values.mean()) - truth)


def test_the_error_of_a_shift_is_that_of_the_means(rng):
    # equal covariances: |m1 - m2|^2, whose variance is 4 |m1 - m2|^2 s^2 (1/n + 1/m) for a shift along one axis
    x, y = torch.randn(4000, 3, generator=rng), torch.randn(2000, 3, generator=rng)
    x[:, 0] += 5
    score = frechet(x, y, rng=rng, extrapolation=0)
    assert score.se == pytest.approx(2 * score.value**0.5 * (1 / 4000 + 1 / 2000) ** 0.5, rel=0.05)


def test_fid_is_refused_outside_inception_features(rng):
    x = torch.randn(20, 4, generator=rng)
    for other in ("digits-cnn@3f2a91bc", "inception-v3@0cc3c7bd"):  # torchvision's port gives other numbers
        with pytest.raises(NotApplicable, match="use frechet"):
            fid(x, x, rng=rng, space=other)
    with pytest.raises(BadConfig, match="extrapolation"):
        frechet(x, x, rng=rng, extrapolation=1)


@pytest.mark.parametrize(("n", "m"), [(20, 30), (12, 60), (40, 40)])
def test_few_rows_give_what_covariances_give(rng, n, m):
    x, y = torch.randn(n, 40, generator=rng), torch.randn(m, 40, generator=rng) * 1.2 + 0.1
    rows, features = Rows(x, y), Features(x, y)
    assert rows.distance == pytest.approx(features.distance, rel=1e-10)
    assert rows.distance == pytest.approx(frechet_distance(Moments.of(x), Moments.of(y)), rel=1e-10)
    for a, b in zip(rows.potentials(), features.potentials(), strict=True):
        torch.testing.assert_close(a - a.mean(), b - b.mean(), rtol=1e-8, atol=1e-8)
    order = torch.randperm(n, generator=rng)
    counts = [n // 2, n - 1, n]
    assert list(rows.nested(order, counts)) == pytest.approx(list(features.nested(order, counts)), rel=1e-10)


def test_few_rows_of_many_features_cost_no_matrix_of_features(rng):
    x, y = torch.randn(60, 3000, generator=rng), torch.randn(64, 3000, generator=rng)
    start = time.thread_time()
    score = frechet(x, y, rng=rng)
    assert vendi(x).value > 1
    # an eigenvalue problem of 3,000 x 3,000 takes ten times as long, and one for each subset was solved
    assert time.thread_time() - start < 1.0
    assert score.value > 0


def test_vendi_is_one_number_on_either_side(rng):
    x = torch.randn(30, 40, generator=rng).double()
    wide = torch.cat([x, torch.zeros(30, 5)], 1)  # still fewer rows than features
    tall = x @ torch.linalg.qr(torch.randn(40, 40, generator=rng).double())[0][:, :40]
    few = x[:, :29]  # more rows than features
    assert vendi(wide).value == pytest.approx(vendi(tall).value, rel=1e-10)
    padded = torch.cat([few, torch.zeros(30, 10)], 1)
    assert vendi(padded).value == pytest.approx(vendi(few).value, rel=1e-10)
    assert vendi(padded).se == pytest.approx(vendi(few).se, rel=1e-8)


def test_vendi_counts_different_rows():
    eye = torch.eye(6)
    assert vendi(eye).value == pytest.approx(6)
    assert vendi(eye[:1].expand(9, -1)).value == pytest.approx(1)
    assert vendi(eye[[0, 0, 0, 1, 1, 1]]).value == pytest.approx(2)
    assert vendi(-eye[[0, 1]] * 5).value == pytest.approx(2)  # length does not matter


def test_vendi_spectrum_is_that_of_the_full_similarity_matrix(rng):
    x = torch.randn(30, 4, generator=rng).double()
    unit = x / x.norm(dim=1, keepdim=True)
    for k, score in (
        (unit @ unit.T, vendi(x)),
        (torch.exp(-torch.cdist(x, x).square() / 2), vendi(x, kernel="rbf", bandwidth=1.0)),
    ):
        values = torch.linalg.eigvalsh(k / 30).clamp(min=0)
        assert score.value == pytest.approx(float(torch.exp(-torch.xlogy(values, values).sum())), rel=1e-9)


def test_vendi_error_is_that_of_repeated_draws(rng):
    for options in ({}, {"kernel": "rbf", "bandwidth": 3.0}):
        scores = [vendi(torch.randn(150, 6, generator=rng) + 0.5, **options) for _ in range(150)]
        ratio = float(torch.tensor([s.value for s in scores]).std() / torch.tensor([s.se for s in scores]).mean())
        assert 0.8 < ratio < 1.2


def test_vendi_refuses_what_has_no_direction(rng):
    x = torch.randn(10, 3, generator=rng)
    x[4] = 0
    with pytest.raises(BadInput, match="row 4"):
        vendi(x)
    with pytest.raises(BadConfig, match="bandwidth"):
        vendi(x, kernel="rbf")
    with pytest.raises(BadInput, match="at most 5 rows"):
        vendi(x, kernel="rbf", bandwidth=1.0, at_most=5)
