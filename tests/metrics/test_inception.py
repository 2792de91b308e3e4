"""Inception and mode scores: closed forms, agreement with torch-fidelity, coverage, shards, and what is refused."""

import math

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import BadInput
from ganbench.metrics.inception import (
    ClassSums,
    class_correlation,
    inception_score,
    jackknife_variance,
    mode_score,
    mode_score_che,
)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def posteriors(n, k, seed=0, sharpness=2.0, prior=None):
    logits = sharpness * torch.randn(n, k, generator=rng(seed), dtype=torch.float64)
    return torch.softmax(logits if prior is None else logits + prior, 1)


def test_value_is_that_of_torch_fidelity_in_file_order():
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = 3 * torch.randn(1003, 20, generator=rng(), dtype=torch.float64)  # splits of unequal size
    theirs = isc_features_to_metric(logits, splits=10, shuffle=False)
    ours = inception_score(torch.softmax(logits, 1), rng=rng(), shuffle=False)
    assert_close(ours.value, theirs["inception_score_mean"], rtol=1e-12, atol=0)
    assert_close(ours.extra["split_std"], theirs["inception_score_std"], rtol=1e-9, atol=0)


def test_two_sharp_classes_give_the_closed_form():
    p = torch.tensor([[0.9, 0.1], [0.1, 0.9]], dtype=torch.float64).repeat(100, 1)
    h = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    assert_close(inception_score(p, rng=rng(), splits=1).value, 2 * math.exp(-h), rtol=1e-12, atol=0)


@pytest.mark.parametrize("k", [2, 10, 1000])
def test_balanced_one_hot_gives_k_and_zero_spread_over_balanced_splits(k):
    score = inception_score(torch.eye(k).repeat(20, 1), rng=rng(), shuffle=False)
    assert_close(score.value, float(k), rtol=1e-12, atol=0)
    assert_close(score.extra["split_std"], 0.0, rtol=0, atol=1e-9 * k)


def test_equal_rows_one_sample_and_one_class_give_one():
    for p in (torch.full((30, 5), 0.2), torch.full((1, 5), 0.2), torch.eye(5)[:1].repeat(40, 1)):
        assert_close(inception_score(p, rng=rng(), splits=1).value, 1.0, rtol=1e-12, atol=0)


def test_bias_of_n_samples_from_k_classes_is_predicted_and_corrected():
    raw, corrected = [], []
    for seed in range(200):
        p = torch.eye(100)[torch.randint(100, (1000,), generator=rng(seed))]
        score = inception_score(p, rng=rng(), splits=1)
        raw.append(score.value)
        corrected.append(score.extra["split_free_corrected"])
        seen = int((p.sum(0) > 0).sum())  # nearly always 100
        assert_close(score.extra["log_bias"], -(seen - 1) / 2000, rtol=1e-9, atol=0)
    assert_close(sum(raw) / 200, 100 * math.exp(-99 / 2000), rtol=2e-3, atol=0)
    assert abs(sum(corrected) / 200 - 100) < 0.5


def test_jackknife_gives_the_variance_of_a_mean_exactly():
    x = torch.randn(40, generator=rng(), dtype=torch.float64)
    n = torch.ones_like(x)
    left_out = (x.sum() - x) / 39
    assert_close(jackknife_variance(n, x.mean(), left_out), float(x.var() / 40), rtol=1e-10, atol=0)


@pytest.mark.parametrize("splits", [1, 10])
def test_interval_covers_the_mean_over_draws(splits):
    prior = torch.linspace(-1, 1, 10, dtype=torch.float64)
    scores = [
        inception_score(posteriors(1000, 10, seed, prior=prior), rng=rng(seed), splits=splits) for seed in range(400)
    ]
    truth = sum(s.value for s in scores) / len(scores)
    covered = sum(abs(s.value - truth) <= 1.96 * s.se for s in scores) / len(scores)
    assert 0.90 <= covered <= 0.98


def test_mode_score_interval_covers_the_mean_over_draws():
    prior = torch.linspace(-1, 1, 10, dtype=torch.float64)
    scores = [
        mode_score(posteriors(800, 10, seed, prior=prior), posteriors(600, 10, 10_000 + seed)) for seed in range(400)
    ]
    truth = sum(s.value for s in scores) / len(scores)
    covered = sum(abs(s.value - truth) <= 1.96 * s.se for s in scores) / len(scores)
    assert 0.90 <= covered <= 0.98


def test_shards_combine_to_the_whole():
    p = posteriors(1000, 7)
    group = torch.arange(1000) % 50
    whole = ClassSums.of(p, group, 50)
    for size in (1, 7, 999):
        shards = [ClassSums.of(q, g, 50) for q, g in zip(p.split(size), group.split(size), strict=True)]
        merged = sum(shards[1:], shards[0])
        for a, b in ((merged.n, whole.n), (merged.plogp, whole.plogp), (merged.p, whole.p)):
            assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_seed_decides_the_splits_and_split_free_does_not_depend_on_order():
    p = posteriors(500, 10)
    assert inception_score(p, rng=rng(1)).value == inception_score(p, rng=rng(1)).value
    assert inception_score(p, rng=rng(1)).value != inception_score(p, rng=rng(2)).value
    order = torch.randperm(500, generator=rng())
    free = [inception_score(q, rng=rng()).extra["split_free"] for q in (p, p[order])]
    assert_close(free[0], free[1], rtol=1e-12, atol=0)


def test_class_sorted_files_are_found_and_random_ones_are_not():
    p = torch.eye(10)[torch.randint(10, (2000,), generator=rng())]
    assert abs(class_correlation(p.argmax(1))) < 4
    by_class = p[p.argmax(1).argsort()]
    assert inception_score(by_class, rng=rng()).extra["class_sorted"]
    assert inception_score(by_class, rng=rng()).value > 9.5  # shuffled, so no harm was done
    with pytest.raises(BadInput, match="sorted by class"):
        inception_score(by_class, rng=rng(), shuffle=False)


def test_mode_score_is_is_where_classes_match_and_falls_with_kl():
    p, r = posteriors(400, 6), posteriors(300, 6, seed=1, prior=torch.arange(6))
    free = inception_score(p, rng=rng(), splits=1).value
    assert_close(mode_score(p, p).value, free, rtol=1e-12, atol=0)
    p_g, p_r = p.mean(0), r.mean(0)
    kl = float((p_g * (p_g / p_r).log()).sum())
    assert_close(mode_score(p, r).value, free * math.exp(-kl), rtol=1e-10, atol=0)


def test_collapse_to_one_class_of_k_has_mode_score_one_over_k():
    assert_close(mode_score(torch.eye(8)[:1].repeat(50, 1), torch.eye(8).repeat(9, 1)).value, 1 / 8, rtol=1e-9, atol=0)


def test_mode_score_as_printed_equals_is_whatever_the_reference():
    p = posteriors(400, 6)
    free = inception_score(p, rng=rng(), splits=1).value
    for seed in range(5):
        r = posteriors(50, 6, seed=seed, prior=3 * torch.randn(6, generator=rng(seed), dtype=torch.float64))
        assert_close(mode_score_che(p, r).value, free, rtol=1e-11, atol=0)


def test_a_class_the_reference_lacks_gives_mode_score_zero_and_is_named():
    p, r = torch.eye(4)[:3].repeat(10, 1), torch.eye(4)[1:].repeat(10, 1)
    score = mode_score(p, r)
    assert score.value == 0
    assert score.extra["absent"] == [0]
    assert math.isfinite(score.se)
    with pytest.raises(BadInput, match=r"no mass to classes \[0\]"):
        mode_score_che(p, r)


def test_half_precision_probabilities_agree_with_double():
    p = posteriors(500, 10)
    assert_close(inception_score(p.half(), rng=rng()).value, inception_score(p, rng=rng()).value, rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("probs", "message"),
    [
        (torch.randn(50, 10, generator=rng()), "logits"),
        (torch.rand(50, 10, generator=rng()), "sum to 1"),
        (torch.eye(10).repeat(5, 1).index_fill(0, torch.tensor([3]), float("nan")), "row 3"),
        (torch.zeros(0, 10), "at least 1"),
        (torch.eye(5), "splits must lie in"),
        (torch.eye(5).long(), "floating point"),
    ],
)
def test_what_is_no_probability_is_refused(probs, message):
    with pytest.raises(BadInput, match=message):
        inception_score(probs, rng=rng())


def test_different_class_counts_are_refused():
    with pytest.raises(BadInput, match="share K"):
        mode_score(torch.eye(3), torch.eye(4))
