"""Fitted densities against sample moments, scipy-free closed forms and scikit-learn."""

import math

import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch.distributions import MultivariateNormal
from torch.testing import assert_close

from baselines.classical.gaussian_mle import GaussianMLE
from baselines.classical.gmm import GMM
from baselines.classical.pca import PCA
from ganbench.data import DataSpec, Mixture, Split
from ganbench.errors import BadInput, NotApplicable
from ganbench.model import Budget

NO_BUDGET = Budget(iterations=1)


@pytest.fixture
def points(rng):
    """Correlated points in five dimensions."""
    return (torch.randn(400, 5, generator=rng) @ torch.randn(5, 5, generator=rng) + torch.arange(5.0)).float()


def fitted(cls, x, rng, domain=None, **overrides):
    spec = DataSpec("points", tuple(x.shape[1:]), domain=domain)
    model = cls(cls.configure(spec, **overrides))
    model.build(spec)
    model.fit(Split(x), NO_BUDGET, rng)
    return model


def covariance_of(x):
    centred = x.double() - x.double().mean(0)
    return centred.T @ centred / len(x)


def test_gaussian_mle_has_the_moments_of_the_sample(points, rng):
    model = fitted(GaussianMLE, points, rng)
    assert_close(model.mean, points.double().mean(0))
    assert_close(model.covariance, covariance_of(points), rtol=1e-9, atol=1e-9)
    expected = MultivariateNormal(points.double().mean(0), covariance_of(points)).log_prob(points.double())
    assert_close(model.log_prob(points, rng), expected, rtol=1e-8, atol=1e-8)
    # The mean log likelihood at the maximum is minus the entropy of the fitted Gaussian.
    entropy = 0.5 * (torch.logdet(model.covariance) + 5 * math.log(2 * math.pi * math.e))
    assert_close(model.log_prob(points, rng).mean(), -entropy, rtol=1e-9, atol=0)


def test_diagonal_gaussian_mle_has_the_variances_of_the_sample(points, rng):
    model = fitted(GaussianMLE, points, rng, covariance="diagonal")
    assert_close(model.covariance, covariance_of(points).diagonal().diag(), rtol=1e-9, atol=1e-12)


def test_constant_directions_keep_the_least_standard_deviation(points, rng):
    flat = torch.cat([points, torch.ones(len(points), 1)], 1)
    model = fitted(GaussianMLE, flat, rng, min_std=0.01)
    values = torch.linalg.eigvalsh(model.covariance)
    assert_close(values[0], torch.tensor(1e-4, dtype=torch.float64), rtol=1e-6, atol=0)
    assert_close(model.covariance[:5, :5], covariance_of(points), rtol=1e-6, atol=1e-6)


def test_gaussian_samples_have_its_moments(points, rng):
    model = fitted(GaussianMLE, points, rng)
    x = model.sample(100_000, rng)
    assert x.dtype == torch.float32
    std = model.covariance.diagonal().sqrt()
    assert ((x.double().mean(0) - model.mean).abs() < 4.5 * std / 100_000**0.5).all()
    assert_close(covariance_of(x), model.covariance, rtol=0, atol=0.03 * float(model.covariance.diagonal().max()))


def test_ppca_density_is_the_normal_law_of_its_loadings(points, rng):
    model = fitted(PCA, points, rng, n_components=2)
    covariance = model.loadings() @ model.loadings().T + model.noise * torch.eye(5, dtype=torch.float64)
    expected = MultivariateNormal(model.mean, covariance).log_prob(points.double())
    assert_close(model.log_prob(points, rng), expected, rtol=1e-8, atol=1e-8)
    values = torch.linalg.eigvalsh(covariance_of(points))
    assert_close(model.noise, values[:3].mean(), rtol=1e-6, atol=0)  # Tipping & Bishop, equation 3.8
    assert_close(model.variances, values[3:].flip(0), rtol=1e-6, atol=0)


def test_ppca_with_all_but_one_component_is_the_gaussian(points, rng):
    full = fitted(GaussianMLE, points, rng)
    assert_close(
        fitted(PCA, points, rng, n_components=4).log_prob(points, rng), full.log_prob(points, rng), rtol=1e-6, atol=1e-6
    )


def test_pca_reconstructs_a_plane_and_codes_are_the_posterior_mean(points, rng):
    plane = (points[:, :2] @ torch.randn(2, 5, generator=rng)).float()
    model = fitted(PCA, plane, rng, n_components=2)
    assert_close(model.reconstruct(plane), plane, rtol=1e-4, atol=1e-4)
    model = fitted(PCA, points, rng, n_components=2)
    w = model.loadings()
    m = w.T @ w + model.noise * torch.eye(2, dtype=torch.float64)
    expected = torch.linalg.solve(m, w.T @ (points.double() - model.mean).T).T
    assert_close(model.encode(points), expected.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_gmm_density_is_that_of_scikit_learn(points, rng, covariance):
    model = fitted(GMM, points, rng, n_components=3, covariance=covariance)
    other = GaussianMixture(3, covariance_type={"full": "full", "diagonal": "diag"}[covariance])
    other.weights_, other.means_ = model.weights.numpy(), model.means.numpy()
    scales = model.scales.numpy()
    other.precisions_cholesky_ = torch.linalg.inv(model.scales).mT.numpy() if covariance == "full" else 1 / scales
    assert_close(model.log_prob(points, rng), torch.from_numpy(other.score_samples(points.double().numpy())))
    assert_close(model.cluster(points), torch.from_numpy(other.predict(points.double().numpy())))


def test_gmm_with_the_true_number_of_components_finds_them(rng):
    side = torch.arange(-4.0, 5.0, 2.0)
    mixture = Mixture(torch.cartesian_prod(side, side), 0.05)
    x, y = mixture.sample(4000, rng)
    model = fitted(GMM, x, rng)
    distance, which = torch.cdist(model.means.float(), mixture.means).min(1)
    assert sorted(which.tolist()) == list(range(25))
    assert distance.max() < 4.5 * 0.05 * (2 * 25 / 4000) ** 0.5
    test, _ = mixture.sample(4000, rng)
    assert abs((model.log_prob(test, rng) - mixture.log_prob(test)).mean()) < 0.05  # 149 parameters / 8000
    sample = model.sample(4000, rng)
    assert (torch.cdist(sample, mixture.means).min(1).values < 0.25).all()
    assert (which[model.cluster(x)] == y).all()


def test_gmm_samples_follow_its_weights(rng):
    x = torch.cat([torch.randn(900, 2, generator=rng) - 9, torch.randn(100, 2, generator=rng) + 9])
    sample = fitted(GMM, x, rng, n_components=2).sample(20_000, rng)
    assert abs((sample[:, 0] > 0).float().mean() - 0.1) < 4.5 * (0.09 / 20_000) ** 0.5


@pytest.mark.parametrize("cls", [GaussianMLE, GMM, PCA])
def test_images_are_sampled_inside_their_domain_and_states_round_trip(cls, rng):
    x = torch.rand(200, 1, 4, 4, generator=rng).round() * 2 - 1
    few = {"n_components": 3} if cls is not GaussianMLE else {}
    model = fitted(cls, x, rng, domain=(-1.0, 1.0), **few)
    sample = model.sample(50, rng)
    assert sample.shape == (50, 1, 4, 4)
    assert sample.abs().max() <= 1
    other = cls(model.config)
    other.build(model.spec)
    other.load_state_dict(model.state_dict())
    assert_close(other.log_prob(x, rng), model.log_prob(x, rng), rtol=0, atol=0)
    assert model.sample(0, rng).shape == (0, 1, 4, 4)


def test_what_cannot_be_fitted_is_refused(points, rng):
    with pytest.raises(NotApplicable, match="at most the 4 examples"):
        fitted(GMM, points[:4], rng, n_components=5)
    with pytest.raises(NotApplicable, match="at most the 5 dimensions"):
        fitted(PCA, points, rng, n_components=6)
    with pytest.raises(NotApplicable, match="at least 4 examples"):
        fitted(PCA, points[:3], rng, n_components=3)
    with pytest.raises(BadInput, match="at least 2 examples"):
        fitted(GaussianMLE, points[:1], rng)
    spec = DataSpec("faces", (3, 64, 64), domain=(-1.0, 1.0))
    with pytest.raises(NotApplicable, match="covariance=diagonal"):
        GaussianMLE(GaussianMLE.configure(spec)).build(spec)
