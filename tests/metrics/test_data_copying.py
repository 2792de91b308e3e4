"""The data-copying test: null law, copies, underfit, an independent form of C_T, ties, cells without rows, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kstest, mannwhitneyu

from ganbench.errors import BadConfig, BadInput
from ganbench.metrics.data_copying import ct
from ganbench.ops.clusters import Clusters


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng)


@pytest.mark.parametrize(("cells", "kind"), [(3, "gaussian"), (5, "gaussian"), (3, "binary")])
def test_fresh_draws_are_standard_normal(rng, cells, kind):
    def draw(n):
        return (normal(rng, n, 12) > 0).float() if kind == "binary" else normal(rng, n, 5)

    z = [ct(draw(120), draw(150), draw(200), rng=rng, cells=cells, least=5).value for _ in range(100)]
    # Kolmogorov's test at 1e-3 against N(0, 1); ties of binary data leave the law discrete, so their moments are tested
    if kind == "gaussian":
        assert kstest(z, "norm").pvalue > 1e-3
    assert abs(np.mean(z)) < 4 / 100**0.5
    assert 0.72 < np.std(z) < 1.28  # four standard deviations of 100 draws


def test_copies_are_far_below_zero_fresh_draws_near_it_and_underfit_far_above(rng):
    train, real = normal(rng, 600, 8), normal(rng, 300, 8)
    exact = ct(train[:300], real, train, rng=rng)
    assert exact.value < -15
    assert exact.extra["p_copying"] < 1e-40
    assert ct(train[:300] + 0.2 * normal(rng, 300, 8), real, train, rng=rng).value < -10
    a_third = torch.cat([train[:100] + 0.05 * normal(rng, 100, 8), normal(rng, 200, 8)])
    assert ct(a_third, real, train, rng=rng).value < -4
    assert abs(ct(normal(rng, 300, 8), real, train, rng=rng).value) < 4
    assert ct(1.3 * normal(rng, 300, 8), real, train, rng=rng).value > 4
    assert ct(real, real, train, rng=rng).value == pytest.approx(0, abs=1e-9)  # the reference is not the training set


def test_agrees_with_an_independent_form(rng):
    train, real, x = normal(rng, 300, 6), normal(rng, 200, 6), 0.8 * normal(rng, 250, 6)
    score = ct(x, real, train, rng=torch.Generator().manual_seed(3), cells=4)
    partition = Clusters.of(train, 4, torch.Generator().manual_seed(3))
    cells = [torch.cdist(s.double(), partition.centers).argmin(1) for s in (x, real, train)]
    z, share = [], []
    for k in range(4):
        a, b, t = (s[c == k].double() for s, c in zip((x, real, train), cells, strict=True))
        u = mannwhitneyu(torch.cdist(a, t).amin(1), torch.cdist(b, t).amin(1)).statistic
        n, m = len(a), len(b)
        z.append((u - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))
        share.append(m / len(real))
    assert score.extra["c_t"] == pytest.approx(np.dot(z, share) / np.sum(share), rel=1e-9)
    assert score.value == pytest.approx(np.dot(z, share) / np.linalg.norm(share), rel=1e-9)
    assert [c[2] for c in score.extra["cells"]] == pytest.approx(z, rel=1e-9)


def test_the_error_is_that_of_repeated_draws(rng):
    train = normal(rng, 300, 4)
    scores = [ct(0.8 * normal(rng, 200, 4), normal(rng, 200, 4), train, rng=torch.Generator()) for _ in range(100)]
    spread = np.std([s.value for s in scores])
    assert 0.8 < spread / np.mean([s.se for s in scores]) < 1.25


def test_cells_without_rows_are_left_out_and_equal_distances_say_nothing(rng):
    train = torch.cat([normal(rng, 200, 3), normal(rng, 200, 3) + 50])
    real = torch.cat([normal(rng, 100, 3), normal(rng, 100, 3) + 50])
    one_mode = ct(normal(rng, 150, 3), real, train, rng=rng, cells=2)
    assert one_mode.extra["reference_compared"] == pytest.approx(0.5)
    assert abs(one_mode.value) < 4
    assert ct(torch.ones(30, 2), torch.ones(30, 2), torch.zeros(30, 2), rng=rng, cells=1).value == 0


def test_bad_input_is_refused(rng):
    x = normal(rng, 60, 3)
    with pytest.raises(BadInput, match="at least 20 rows in a cell"):
        ct(x + 100, x, torch.cat([x, x + 100]), rng=rng, cells=2)
    with pytest.raises(BadInput, match="features must hold at least 20"):
        ct(x[:19], x, x, rng=rng)
    with pytest.raises(BadInput, match="train_features must share"):
        ct(x, x, x[:, :2], rng=rng)
    with pytest.raises(BadConfig, match="cells"):
        ct(x, x, x, rng=rng, cells=0)
