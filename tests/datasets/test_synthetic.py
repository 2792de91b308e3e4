"""Laws of the synthetic data: exact densities, draws that follow them, hashes pinned to the version."""

import math

import pytest
import torch
from scipy import stats
from sklearn.datasets import make_swiss_roll

from ganbench.datasets.load import load

PINNED = {  # version 1; a change here is a new version of the data set
    "ring8": "cd358127e212126e69c24fcd5a975954cc06d8b7f50b90fe91538aeb941de6cb",
    "grid25": "c24eac1c64e51c9a937e4a158155ef3e3cf91a0305f0680c904b86b8f6fb3639",
    "gaussian": "2f51ad44d9258ffdaf9499977f890703af7d1bc4ae043601f6c5b63aae8531d4",
    "swissroll": "2286a8642d66ab18472dc1aeb7241d2e03205939e9f2df83a5a8337c716f03c4",
}
# name: modes, std, half-width of a square that holds all but 1e-12 of the mass, step of half a std
MIXTURES = {"ring8": (8, 0.01, 1.08, 0.005), "grid25": (25, 0.05, 4.4, 0.025), "gaussian": (1, 1.0, 7.5, 0.5)}


@pytest.mark.parametrize("name", PINNED)
def test_bytes_are_those_of_version_1(name):
    spec = load(name).spec
    assert (spec.version, spec.sha256) == (1, PINNED[name])
    assert (spec.n_train, spec.n_eval, spec.event_shape) == (100_000, 10_000, (2,))


@pytest.mark.parametrize("name", MIXTURES)
def test_density_integrates_to_one(name):
    _, _, side, step = MIXTURES[name]
    mixture = load(name).mixture
    axis = torch.arange(-side, side + step / 2, step, dtype=torch.float64)
    total = sum(
        float(mixture.log_prob(torch.cartesian_prod(rows, axis)).exp().sum()) for rows in axis.split(100)
    )  # the rectangle rule is exact to exp(-8 pi^2) at half a std
    assert total * step**2 == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("part", ["train", "test"])
def test_points_follow_the_density(name, part):
    k, std, _, _ = MIXTURES[name]
    data = load(name)
    split, mixture = getattr(data, part), data.mixture
    n = len(split)
    modes = split.y if split.y is not None else torch.zeros(n, dtype=torch.long)
    residual = (split.x.double() - mixture.means.double()[modes]) / std  # (n, 2) standard normal
    assert (len(mixture.means), mixture.std) == (k, std)
    assert stats.kstest(residual.flatten().numpy(), "norm").pvalue > 1e-3
    assert stats.kstest((residual.square().sum(1) / 2).numpy(), "expon").pvalue > 1e-3  # independent coordinates
    assert abs(float(residual.prod(1).mean())) < 4 / math.sqrt(n)
    if k > 1:
        assert stats.chisquare(torch.bincount(modes, minlength=k).numpy()).pvalue > 1e-3
    # Modes do not overlap, so the entropy is log K + 1 + log(2 pi std^2), and r^2 / 2 has variance 1.
    entropy = math.log(k) + 1 + math.log(2 * math.pi * std**2)
    assert float(mixture.log_prob(split.x).mean()) == pytest.approx(-entropy, abs=4 / math.sqrt(n))


@pytest.mark.parametrize("name", MIXTURES)
def test_mixture_draws_have_the_law_of_the_data(name):
    data = load(name)
    x, k = data.mixture.sample(10_000, torch.Generator().manual_seed(0))
    assert x.dtype == torch.float32
    for axis in range(2):
        assert stats.ks_2samp(x[:, axis].numpy(), data.test.x[:, axis].numpy()).pvalue > 1e-3
    torch.testing.assert_close(data.mixture.posterior(x).argmax(1), k)


def test_modes_lie_where_the_literature_puts_them():
    ring, grid = load("ring8").mixture.means, load("grid25").mixture.means
    torch.testing.assert_close(ring.norm(dim=1), torch.ones(8))
    torch.testing.assert_close(ring[0], torch.tensor([1.0, 0.0]))
    nearest = torch.cdist(ring, ring).topk(2, largest=False).values[:, 1]
    torch.testing.assert_close(nearest, torch.full((8,), 2 * math.sin(math.pi / 8)))
    assert {tuple(m) for m in grid.int().tolist()} == {(a, b) for a in range(-4, 5, 2) for b in range(-4, 5, 2)}


def test_swissroll_agrees_with_an_independent_implementation():
    x = load("swissroll").train.x
    other, _ = make_swiss_roll(100_000, noise=0.25, random_state=0)
    other = torch.as_tensor(other[:, [0, 2]] / 7.5)
    for mine, theirs in ((x[:, 0], other[:, 0]), (x[:, 1], other[:, 1]), (x.norm(dim=1), other.norm(dim=1))):
        assert stats.ks_2samp(mine.numpy(), theirs.numpy()).pvalue > 1e-3
    assert load("swissroll").mixture is None


@pytest.mark.parametrize("name", PINNED)
def test_splits_are_independent_streams(name):
    data = load(name)
    a, b = data.train.x[:10_000].double(), data.test.x.double()
    correlation = ((a - a.mean(0)) * (b - b.mean(0))).mean(0) / (a.std(0) * b.std(0))
    assert float(correlation.abs().max()) < 4 / math.sqrt(10_000)
