"""MMD and KID as metrics: agreement with torch-fidelity, errors that mean what they say, signatures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kernel_mmd, kid_features_to_metric

from ganbench.errors import BadConfig, BadInput
from ganbench.metrics.mmd import kid, mmd, permutation_p_value
from ganbench.ops.kernels import RBF, Polynomial, mmd2, subset_mmd2

FIDELITY = {
    "kid_kernel": "poly",
    "kid_kernel_poly_degree": 3,
    "kid_kernel_poly_coef0": 1.0,
    "kid_kernel_poly_gamma": None,
}


def test_kid_on_the_subsets_of_torch_fidelity(rng):
    x = torch.randn(400, 96, generator=rng).abs()
    y = torch.randn(500, 96, generator=rng).abs() * 1.1
    theirs = kid_features_to_metric(x, y, kid_subsets=20, kid_subset_size=150, rng_seed=2020, verbose=False, **FIDELITY)
    draws = np.random.RandomState(2020)
    index = [[torch.from_numpy(draws.choice(n, 150, replace=False)) for n in (400, 500)] for _ in range(20)]
    ours = subset_mmd2(x, y, Polynomial(1 / 96), torch.stack([i for i, _ in index]), torch.stack([j for _, j in index]))
    # both form float32 Gram matrices; the difference of means leaves about 1e-5 of it
    assert float(ours.mean()) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-4)
    assert float(ours.std(correction=0)) == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-3)


def test_full_kid_is_the_unbiased_value_of_torch_fidelity(rng):
    x, y = torch.randn(300, 64, generator=rng).double(), torch.randn(300, 64, generator=rng).double() + 0.2
    published, full = kid(x, y, rng=rng, subsets=50, subset_size=100)
    assert full.value == pytest.approx(float(kernel_mmd(x.numpy(), y.numpy(), **FIDELITY)), rel=1e-9)
    assert abs(published.value - full.value) < 4 * published.extra["subset_std"] / 50**0.5
    assert published.se > full.se
    assert published.signature == "kid|subsets=50x100|n=300|m=300|features|f64|v1"


def test_one_pass_and_subset_by_subset_are_the_same_kid(rng):
    x, y = torch.randn(200, 16, generator=rng).double(), torch.randn(150, 16, generator=rng).double() + 0.3
    one_pass = kid(x, y, rng=torch.Generator().manual_seed(3), subsets=8, subset_size=40)[0]
    one_by_one = kid(x, y, rng=torch.Generator().manual_seed(3), subsets=8, subset_size=40, full=False)[0]
    assert one_by_one.value == pytest.approx(one_pass.value, rel=1e-9)
    assert one_by_one.extra == pytest.approx(one_pass.extra)


def test_mmd_is_the_dense_value_with_the_median_bandwidth_of_the_reference(rng):
    x, y = torch.randn(120, 1, 3, 3, generator=rng).double(), torch.randn(99, 1, 3, 3, generator=rng).double() + 0.1
    score = mmd(x, y, rng=rng)
    bandwidth = float(torch.pdist(y.flatten(1)).median())
    assert score.extra["bandwidth"] == pytest.approx([bandwidth])
    assert score.value == pytest.approx(
        float(mmd2(x.flatten(1), y.flatten(1), RBF((bandwidth,)), "unbiased")), rel=1e-9
    )
    assert score.signature == "mmd2|rbf-median|unbiased|n=120|m=99|x|f64|v1"
    biased = mmd(x, y, rng=rng, estimator="biased", root=True)
    assert biased.value**2 == pytest.approx(float(mmd2(x.flatten(1), y.flatten(1), RBF((bandwidth,)))), rel=1e-9)


def test_block_estimator_is_the_mean_over_disjoint_blocks(rng):
    x, y = torch.randn(90, 2, generator=rng).double(), torch.randn(90, 2, generator=rng).double() + 1
    block = mmd(x, y, rng=rng, estimator="block", block_size=30)
    whole = mmd(x, y, rng=rng)
    assert abs(block.value - whole.value) < 3 * block.se
    assert "block=30" in block.signature


def test_p_value_equals_that_of_a_dense_permutation_test_and_is_small_when_laws_differ(rng):
    x, y = torch.randn(40, 3, generator=rng).double(), torch.randn(50, 3, generator=rng).double() + 0.2
    ours = permutation_p_value(x, y, RBF((1.0,)), 200, torch.Generator().manual_seed(1))
    pooled, draws = torch.cat([x, y]), torch.Generator().manual_seed(1)
    observed, reached = float(mmd2(x, y, RBF((1.0,)), "unbiased")), 1
    for _ in range(200):
        order = torch.randperm(90, generator=draws)
        value = float(mmd2(pooled[order[:40]], pooled[order[40:]], RBF((1.0,)), "unbiased"))
        reached += value >= observed
    assert ours == pytest.approx(reached / 201)
    assert mmd(x + 3, y, rng=rng, permutations=99).extra["p_value"] == pytest.approx(0.01)


def test_p_values_are_uniform_under_equal_laws(rng):
    p = torch.tensor(
        [
            permutation_p_value(
                torch.randn(20, 2, generator=rng), torch.randn(20, 2, generator=rng), RBF((1.0,)), 99, rng
            )
            for _ in range(200)
        ]
    )
    assert abs(float((p <= 0.1).double().mean()) - 0.1) < 4 * (0.09 / 200) ** 0.5
    assert abs(float(p.mean()) - 0.505) < 4 / (12 * 200) ** 0.5


def test_bad_options_are_refused_with_the_cure(rng):
    x = torch.randn(20, 2, generator=rng)
    with pytest.raises(BadConfig, match="estimator='biased'"):
        mmd(x, x, rng=rng, root=True)
    with pytest.raises(BadConfig, match="rbf, polynomial, imq or linear"):
        mmd(x, x, rng=rng, kernel="gauss")
    with pytest.raises(BadConfig, match="bandwidth"):
        mmd(x, x, rng=rng, bandwidth=-1.0)
    with pytest.raises(BadConfig, match="block_size"):
        mmd(x, x, rng=rng, estimator="block", block_size=15)
    with pytest.raises(BadInput, match="pass bandwidth"):
        mmd(x, torch.full((20, 2), 0.3), rng=rng)
    with pytest.raises(BadInput, match="smaller set's 20 rows; got 30"):
        kid(x, x, rng=rng, subset_size=30)
