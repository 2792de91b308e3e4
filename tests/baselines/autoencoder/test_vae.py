"""Variational autoencoders against models whose evidence is known exactly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from torch.testing import assert_close

from baselines.autoencoder.beta_vae import BetaVAE
from baselines.autoencoder.vae_bernoulli import BernoulliVAE
from baselines.autoencoder.vae_gaussian import GaussianVAE
from ganbench.data import Batch, DataSpec, Split
from ganbench.engine.loop import train
from ganbench.model import Budget, NotApplicable

SPEC = DataSpec("plane", (4,), n_train=2000)


def linear_vae(workbench: Any, loadings: Tensor, mean: Tensor, std: float) -> GaussianVAE:
    """A VAE that is probabilistic PCA: x = W z + mean + std * noise, with the exact posterior as its encoder.

    W (D, Z) has orthogonal columns, so that the posterior's covariance is diagonal.
    """
    d, z = loadings.shape
    vae = workbench.build(GaussianVAE, DataSpec("plane", (d,)), latent_dim=z, hidden=()).double()
    precision = loadings.T @ loadings + std**2 * torch.eye(z).double()
    to_mean = torch.linalg.solve(precision, loadings.T)
    out, back = vae.decoder.head[0], vae.encoder.head[0]
    with torch.no_grad():
        out.weight.copy_(torch.cat([loadings, torch.zeros(d, z).double()]))
        raw = math.log(math.expm1(std - vae.config.min_std)) + 2  # undoes min_std + softplus(raw - 2)
        out.bias.copy_(torch.cat([mean, torch.full((d,), raw).double()]))
        back.weight.copy_(torch.cat([to_mean, torch.zeros(z, d).double()]))
        back.bias.copy_(torch.cat([-to_mean @ mean, (std**2 / precision.diagonal()).log()]))
    return vae


@pytest.fixture
def ppca_data(rng: torch.Generator) -> Tensor:
    mixing = torch.randn(2, 4, generator=rng).double()
    noise = 0.3 * torch.randn(2000, 4, generator=rng).double()
    return torch.randn(2000, 2, generator=rng).double() @ mixing + noise + 1


@pytest.fixture
def fitted(workbench: Any, ppca_data: Tensor) -> GaussianVAE:
    """The linear VAE at PCA's maximum-likelihood solution (Tipping and Bishop 1999)."""
    values, vectors = torch.linalg.eigh(torch.cov(ppca_data.T))
    values, vectors = values.flip(0), vectors.flip(1)
    variance = float(values[2:].mean())
    return linear_vae(workbench, vectors[:, :2] * (values[:2] - variance).sqrt(), ppca_data.mean(0), variance**0.5)


def test_importance_weighted_bound_of_a_linear_vae_is_the_ppca_evidence(fitted: GaussianVAE, ppca_data: Tensor) -> None:
    # With the exact posterior every importance weight is p(x), so three draws give the evidence without noise.
    object.__setattr__(fitted.config, "n_particles", 3)
    evidence = PCA(2, svd_solver="full").fit(ppca_data.numpy()).score_samples(ppca_data.numpy())
    bound = fitted.iwae(ppca_data, torch.Generator().manual_seed(0))
    assert_close(bound, torch.from_numpy(np.asarray(evidence)), atol=1e-5, rtol=0)


def test_elbo_of_a_linear_vae_is_the_ppca_evidence_on_average(fitted: GaussianVAE, ppca_data: Tensor) -> None:
    evidence = PCA(2, svd_solver="full").fit(ppca_data.numpy()).score(ppca_data.numpy())
    rng = torch.Generator().manual_seed(0)
    elbo = torch.stack([fitted.elbo(ppca_data, rng).mean().detach() for _ in range(50)])
    assert abs(float(elbo.mean()) - evidence) < 5 * float(elbo.std()) / 50**0.5
    assert float(elbo.std()) < 0.1


@pytest.mark.slow
def test_a_linear_vae_learns_the_ppca_evidence(workbench: Any, ppca_data: Tensor) -> None:
    x = (ppca_data - ppca_data.mean(0)) / 2
    vae = workbench.build(GaussianVAE, SPEC, latent_dim=2, hidden=(), lr=1e-2)
    train(vae, Split(x.float()), Budget(iterations=8000), torch.Generator().manual_seed(0))
    evidence = PCA(2, svd_solver="full").fit(x.numpy()).score(x.numpy())
    with torch.no_grad():
        elbo = vae.elbo(x.float(), torch.Generator().manual_seed(1)).mean()
    # A constant learning rate leaves a few hundredths of a nat; a collapsed code would cost more than one.
    assert_close(float(elbo), evidence, atol=0.15, rtol=0)


def test_elbo_is_below_iwae_is_below_the_exact_log_likelihood(workbench: Any, rng: torch.Generator) -> None:
    loadings = torch.tensor([[1.0, 0.0], [0.0, 0.7], [1.0, 0.0]]).double()
    mean, std = torch.tensor([0.5, -0.2, 0.0]).double(), 0.5
    vae = linear_vae(workbench, loadings, mean, std)
    with torch.no_grad():  # a wrong encoder: shifted and too wide
        vae.encoder.head[0].bias += torch.tensor([0.4, -0.3, 0.8, 0.5]).double()
    evidence = MultivariateNormal(mean, loadings @ loadings.T + std**2 * torch.eye(3).double())
    x = evidence.sample((400,))  # from torch's global stream; the facts hold for any draw
    exact = evidence.log_prob(x)
    q = Normal(vae.posterior(x)[0], (0.5 * vae.posterior(x)[1]).exp())
    precision = loadings.T @ loadings + std**2 * torch.eye(2).double()
    posterior = Normal((x - mean) @ loadings @ precision.inverse(), (std**2 / precision.diagonal()).sqrt())
    elbo = torch.stack([vae.elbo(x, rng) for _ in range(200)]).mean(0)
    # The ELBO's gap is exactly KL(q || posterior).
    assert_close((exact - elbo).mean(), kl_divergence(q, posterior).sum(1).mean(), atol=0.02, rtol=0)
    gaps = []
    for n in (5, 50, 500):
        object.__setattr__(vae.config, "n_particles", n)
        gaps.append((exact - vae.iwae(x, rng)).mean().item())
    assert float((exact - elbo).mean()) > gaps[0] > gaps[1] > gaps[2]
    assert -0.01 < gaps[2] < 0.02


def test_gaussian_loss_is_the_hand_written_bound(workbench: Any, image8_spec: DataSpec) -> None:
    vae, batch = workbench.build(GaussianVAE, image8_spec), workbench.batch(image8_spec)
    noise = torch.randn(16, 20, generator=torch.Generator().manual_seed(9))
    mean, log_var = vae.encoder(batch.x).split(20, 1)
    out_mean, raw = vae.decoder(mean + (log_var / 2).exp() * noise).split(1, 1)
    std = 0.1 + torch.log1p((raw - 2).exp())
    kl = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(1)  # as the paper's appendix B prints it
    expected = -(Normal(out_mean.tanh(), std).log_prob(batch.x).sum((1, 2, 3)) - kl).mean()
    assert_close(vae.loss(Batch(batch.x, torch.Generator().manual_seed(9))), expected)


def test_bernoulli_loss_is_the_hand_written_bound(workbench: Any, image8_spec: DataSpec) -> None:
    vae, batch = workbench.build(BernoulliVAE, image8_spec), workbench.batch(image8_spec)
    noise = torch.randn(16, 20, generator=torch.Generator().manual_seed(9))
    mean, log_var = vae.encoder(batch.x).split(20, 1)
    p, x = vae.decoder(mean + (log_var / 2).exp() * noise).sigmoid(), (batch.x + 1) / 2
    kl = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(1)
    expected = -((x * p.log() + (1 - x) * (1 - p).log()).sum((1, 2, 3)) - kl).mean()
    assert_close(vae.loss(Batch(batch.x, torch.Generator().manual_seed(9))), expected)


@pytest.mark.parametrize("event", ["vector_spec", "image8_spec"])
def test_beta_vae_at_one_is_the_bound_and_pays_beta_for_kl(workbench: Any, event: str, request: Any) -> None:
    spec = request.getfixturevalue(event)
    vae, batch = workbench.build(BetaVAE, spec, beta=1.0), workbench.batch(spec)
    rngs = [torch.Generator().manual_seed(3) for _ in range(3)]
    assert_close(vae.loss(Batch(batch.x, rngs[0])), -vae.log_prob(batch.x, rngs[1]).mean())
    dear = workbench.build(BetaVAE, spec, beta=4.0)
    kl = vae.terms(batch.x, torch.Generator().manual_seed(3))[1].mean()
    assert float(kl) > 0
    assert_close(dear.loss(Batch(batch.x, rngs[2])) + vae.log_prob(batch.x, rngs[0].manual_seed(3)).mean(), 3 * kl)


@pytest.mark.parametrize(("cls", "options"), [(BernoulliVAE, {}), (BetaVAE, {"output": "bernoulli"})])
def test_bernoulli_decoders_refuse_unbounded_data(
    workbench: Any, vector_spec: DataSpec, cls: Any, options: Any
) -> None:
    with pytest.raises(NotApplicable, match="unbounded"):
        workbench.build(cls, vector_spec, **options)


def test_log_prob_says_which_bound_it_is(workbench: Any, image8_spec: DataSpec, rng: torch.Generator) -> None:
    x = workbench.batch(image8_spec).x
    assert workbench.build(GaussianVAE, image8_spec).log_prob_kind == "elbo"
    tight = workbench.build(GaussianVAE, image8_spec, bound="iwae", n_particles=200)
    assert tight.log_prob_kind == "iwae"
    with torch.no_grad():
        elbo = torch.stack([tight.elbo(x, rng) for _ in range(50)]).mean()
        assert float(tight.log_prob(x, rng).mean()) > float(elbo)


def test_vector_samples_carry_the_decoders_noise(workbench: Any, rng: torch.Generator) -> None:
    loadings = torch.tensor([[1.0, 0.0], [0.0, 0.7], [0.0, 0.0]]).double()
    vae = linear_vae(workbench, loadings, torch.zeros(3).double(), 0.5)
    with torch.no_grad():
        x = vae.decoder(torch.zeros(1, 2).double())  # parameters of p(x | 0)
        assert_close(vae.likelihood(torch.zeros(1, 2).double())[1].exp(), torch.full((1, 3), 0.5).double())
    assert x.shape == (1, 6)
    vae = vae.float()
    samples = vae.sample(20_000, rng)
    covariance = loadings.float() @ loadings.float().T + 0.25 * torch.eye(3)
    assert_close(torch.cov(samples.T), covariance, atol=0.05, rtol=0)
