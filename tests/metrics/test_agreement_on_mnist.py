"""The peers' values on real MNIST digits."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import numpy as np
import ot
import pytest
import torch
from prdc import compute_prdc
from scipy.spatial.distance import pdist
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from ganbench.metrics.data_copying import ct
from ganbench.metrics.frechet import frechet
from ganbench.metrics.mmd import mmd
from ganbench.metrics.neighbors import authenticity, prdc
from ganbench.metrics.sliced import sliced_wasserstein
from ganbench.ops.closest_pairs import closest_pairs
from ganbench.ops.kernels import Polynomial, subset_mmd2
from ganbench.ops.sliced import random_directions


@pytest.fixture(scope="module")
def digits():
    """The first 3000 training images as rows in [-1, 1]."""
    file = Path(os.environ.get("GANBENCH_DATA", "nowhere")) / "MNIST" / "raw" / "train-images-idx3-ubyte"
    if not file.is_file():
        pytest.skip("GANBENCH_DATA names no MNIST")
    pixels = np.fromfile(file, np.uint8, count=3000 * 784, offset=16).reshape(3000, 784)
    return torch.from_numpy(pixels).float() / 127.5 - 1


def test_frechet(digits, rng):
    x, y = digits[:1000, 200:264], digits[1000:2000, 200:264]  # border pixels are constant: singular covariances
    peer = fid_statistics_to_metric(*[fid_features_to_statistics(v.double()) for v in (x, y)], verbose=False)
    assert frechet(x, y, rng=rng).value == pytest.approx(peer["frechet_inception_distance"], rel=1e-6)


def test_kid(digits):
    x, y = digits[:1000], digits[1000:2000] * 0.9
    options = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_coef0": 1.0}
    exact = x.double(), y.double()  # in float32 the peer's sums are off by as much as 2e-4, depending on the processor
    theirs = kid_features_to_metric(*exact, kid_subsets=5, kid_subset_size=300, rng_seed=1, verbose=False, **options)
    draws = np.random.RandomState(1)
    index = torch.from_numpy(np.stack([draws.choice(1000, 300, replace=False) for _ in range(10)]))
    ours = subset_mmd2(x, y, Polynomial(1 / 784), index[::2], index[1::2])
    assert float(ours.mean()) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-5)


def test_mmd_against_float64(digits, rng):
    x, y = digits[:700], digits[1000:1800] * 0.9
    single = mmd(x, y, rng=rng, bandwidth=10.0)
    double = mmd(x.double(), y.double(), rng=rng, bandwidth=10.0)
    assert single.value == pytest.approx(double.value, abs=2e-7)
    assert single.se == pytest.approx(double.se, rel=1e-3)


def test_sliced_wasserstein(digits, rng):
    theta = random_directions(40, 784, rng)
    for m in (1000, 700):
        x, y = digits[:1000], digits[1000 : 1000 + m] * 0.9
        peer = ot.sliced_wasserstein_distance(
            x.double().numpy(), y.double().numpy(), projections=theta.double().numpy().T
        )
        assert sliced_wasserstein(x, y, rng=rng, directions=theta).value == pytest.approx(peer, rel=2e-6)


def test_precision_recall_density_coverage(digits, rng):
    samples, reference = digits[:600], digits[1000:1700]
    samples = samples + 0.2 * torch.randn(samples.shape, generator=rng)
    ours = {s.name: s.value for s in prdc(samples, reference, rng=rng, k=5)}
    with contextlib.redirect_stdout(io.StringIO()):
        peer = compute_prdc(reference.double().numpy(), samples.double().numpy(), nearest_k=5)
    assert {name: ours[name] for name in peer} == pytest.approx(peer, abs=1e-12)
    theirs = prc_features_to_metric(
        samples.double(), reference.double(), prc_neighborhood=3, prc_batch_size=1000, save_cpu_ram=False, verbose=False
    )
    found = {s.name: s.value for s in prdc(samples, reference, rng=rng)}
    assert found["precision"] == pytest.approx(theirs["precision"], abs=1e-7)
    assert found["recall"] == pytest.approx(theirs["recall"], abs=1e-7)


def test_closest_pairs(digits):
    x = torch.cat([digits[:1200], digits[5:8]])
    pairs, distances = closest_pairs(x, 20)
    every = torch.from_numpy(pdist(x.double().numpy(), "sqeuclidean"))
    i, j = torch.triu_indices(len(x), len(x), 1)
    order = every.argsort(stable=True)[:20]
    assert torch.equal(pairs, torch.stack([i[order], j[order]], 1))
    assert pairs[:3].tolist() == [[5, 1200], [6, 1201], [7, 1202]]
    torch.testing.assert_close(distances, every[order].sqrt(), rtol=1e-12, atol=0)


def test_a_memoriser_is_not_authentic(digits):
    train, fresh = digits[:1500], digits[1500:2000]
    assert authenticity(train[:300], train).value == 0
    assert authenticity(fresh, train).interval[0] > 0.4


def test_the_data_copying_test_tells_a_memoriser_from_fresh_images(digits, rng):
    train, held, fresh = digits[:800].flatten(1), digits[800:1100].flatten(1), digits[1100:1400].flatten(1)
    assert abs(ct(fresh, held, train, rng=rng).value) < 4  # N(0, 1)
    noisy = train[:300] + 0.1 * torch.randn(300, train.shape[1], generator=rng)
    assert ct(noisy, held, train, rng=rng).value < -10
