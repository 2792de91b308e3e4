"""Realism and the memorisation-informed Frechet distance: forms written out, torchmetrics, limits, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.image.mifid import _mifid_compute

from ganbench.errors import BadConfig, BadInput
from ganbench.metrics.frechet import frechet
from ganbench.metrics.memorization import mifid
from ganbench.metrics.realism import ratios, realism


@pytest.mark.parametrize(("n", "m", "d"), [(100, 81, 3), (1500, 1200, 12)])
def test_realism_is_the_form_written_out(rng, n, m, d):
    x, y = torch.randn(n, d, generator=rng) * 1.2, torch.randn(m, d, generator=rng)
    between = torch.cdist(y.double(), y.double()).sort(1).values
    radii = between[:, 3].numpy()  # the row itself is the first
    kept = radii <= np.median(radii)
    distances = torch.cdist(x.double(), y.double(), compute_mode="donot_use_mm_for_euclid_dist").numpy()
    expected = (radii[kept] / distances[:, kept]).max(1)
    np.testing.assert_allclose(ratios(x, y, 3).numpy(), expected, rtol=1e-5)
    score = realism(x, y)
    assert score.value == pytest.approx(np.median(expected), rel=1e-5)
    assert score.extra["share_above_1"] == pytest.approx(np.mean(expected >= 1), abs=1 / n)
    assert score.extra["least_realistic"][0] == expected.argmin()


def test_realism_of_a_core_noise_and_copies(rng):
    y = torch.randn(300, 6, generator=rng)
    core, far = 0.3 * torch.randn(200, 6, generator=rng), torch.randn(200, 6, generator=rng) + 30
    assert realism(core, y).value > 1 > 0.2 > realism(far, y).value
    small, large = realism(far, y).value, realism(2 * far, 2 * y).value
    assert large == pytest.approx(small, rel=1e-5)  # a ratio of lengths
    copies = y[realism(y + 1e-4, y).extra["least_realistic"][:1]].expand(3, -1)
    some = torch.cat([core, y[:40]])
    assert np.isfinite(realism(some, y).value)
    with pytest.raises(BadInput, match="most are"):
        realism(y[ratios(y, y, 3) == torch.inf], y)
    assert len(copies) == 3


def test_the_interval_of_realism_covers_the_median(rng):
    y = torch.randn(200, 4, generator=rng)
    truth = realism(torch.randn(20_000, 4, generator=rng), y).value
    scores = [realism(torch.randn(100, 4, generator=rng), y) for _ in range(200)]
    covered = np.mean([s.interval[0] <= truth <= s.interval[1] for s in scores])
    assert covered >= 0.9  # of order statistics: discrete, at least .95 less four standard deviations


@pytest.mark.parametrize("noise", [0.05, 3.0])  # below the threshold and above it
def test_mifid_agrees_with_torchmetrics_where_the_reference_is_the_training_set(rng, noise):
    train = torch.randn(200, 12, generator=rng).double() + 0.5
    x = train[:150] + noise * torch.randn(150, 12, generator=rng).double()
    moments = [(s.mean(0), torch.cov(s.T)) for s in (train, x)]
    theirs = _mifid_compute(*moments[0], x, *moments[1], train)  # cosine distances of samples to training rows
    ours = mifid(x, train, train)
    assert ours.value == pytest.approx(float(theirs), rel=1e-6)
    assert ours.extra["penalised"] == (noise < 1)
    assert ours.extra["frechet"] == pytest.approx(frechet(x, train, rng=rng).value, rel=1e-9)
    assert ours.signature.startswith("mi_frechet|threshold=0.1|")


def test_mifid_punishes_copies_and_is_frechet_for_others(rng):
    train, real = torch.randn(500, 16, generator=rng), torch.randn(300, 16, generator=rng)
    fresh, copies = torch.randn(300, 16, generator=rng), train[:300]
    assert mifid(fresh, real, train).value == pytest.approx(frechet(fresh, real, rng=rng).value)
    assert mifid(copies, real, train).value > 1e10
    assert mifid(2 * fresh, 2 * real, 2 * train).extra["cosine_distance"] == pytest.approx(
        mifid(fresh, real, train).extra["cosine_distance"], rel=1e-6
    )


def test_the_error_of_mifid_is_that_of_repeated_draws(rng):
    train, real = torch.randn(300, 8, generator=rng), torch.randn(4000, 8, generator=rng)

    def near():
        return train[torch.randint(300, (200,), generator=rng)] * 0.8 + 0.15 * torch.randn(200, 8, generator=rng)

    scores = [mifid(near(), real, train) for _ in range(100)]
    assert all(s.extra["penalised"] for s in scores)
    assert 0.75 < np.std([s.value for s in scores]) / np.mean([s.se for s in scores]) < 1.3


def test_bad_input_is_refused(rng):
    x = torch.randn(30, 4, generator=rng)
    with pytest.raises(BadConfig, match="k must be"):
        realism(x, x, k=0)
    with pytest.raises(BadConfig, match="threshold"):
        mifid(x, x, x, threshold=-1)
    with pytest.raises(BadInput, match="not zero"):
        mifid(x, x, torch.zeros(5, 4))
