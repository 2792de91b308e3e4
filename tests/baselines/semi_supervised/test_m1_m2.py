"""The bounds of M1 and M2 against models whose evidence is known exactly."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from torch.testing import assert_close

from baselines.semi_supervised.m1_m2 import M1M2, M2, Gaussian, labelled_bound, unlabelled_bound
from ganbench.data import Batch, DataSpec, Split
from ganbench.engine.loop import train
from ganbench.errors import NotApplicable
from ganbench.losses.likelihoods import gaussian_kl
from ganbench.model import Budget

K, STD = 3, 0.5
LOADINGS = torch.tensor([[0.8, 0.0], [0.0, -0.6]]).double()  # orthogonal columns: the exact posterior factorises
HEADS = torch.tensor([[-1.0, 0.0], [1.0, 0.5], [0.3, -1.2]]).double()


def linear_m2(std: float = STD) -> M2:
    """x | y, z = LOADINGS z + HEADS[y] + std * noise; its posteriors are linear too, and the networks hold them."""
    m2 = M2(2, K, 2, (), Gaussian()).double()
    precision = LOADINGS.T @ LOADINGS + std**2 * torch.eye(2).double()
    to_mean = torch.linalg.solve(precision, LOADINGS.T)
    covariance = LOADINGS @ LOADINGS.T + std**2 * torch.eye(2).double()
    zeros = torch.zeros(2, 2).double()
    with torch.no_grad():
        m2.decoder.first.weight.copy_(torch.cat([LOADINGS, zeros]))
        m2.decoder.first.bias.copy_(torch.tensor([0, 0] + 2 * [math.log(math.expm1(std - Gaussian.min_std))]))
        m2.decoder.label.weight.copy_(torch.cat([HEADS.T, torch.zeros(2, K).double()]))
        m2.encoder.first.weight.copy_(torch.cat([to_mean, zeros]))
        m2.encoder.first.bias.copy_(torch.cat([torch.zeros(2).double(), (std**2 / precision.diagonal()).log()]))
        m2.encoder.label.weight.copy_(torch.cat([-to_mean @ HEADS.T, torch.zeros(2, K).double()]))
        to_logits = torch.linalg.solve(covariance, HEADS.T).T  # Gaussians of one covariance: linear discriminants
        m2.classifier.head[0].weight.copy_(to_logits)
        m2.classifier.head[0].bias.copy_(-0.5 * (to_logits * HEADS).sum(1))
    return m2


def log_joint(x: Tensor) -> Tensor:
    """log p(x, y) for each class: (B, 2) -> (B, K)."""
    covariance = LOADINGS @ LOADINGS.T + STD**2 * torch.eye(2).double()
    return MultivariateNormal(HEADS, covariance).log_prob(x[:, None]) - math.log(K)


POINTS = torch.tensor([[0.2, 0.1], [-1.5, 0.7], [2.0, -1.0]]).double()
REPEATS = 20_000  # draws of z at each point


def average(bound: Tensor) -> tuple[Tensor, float]:
    """Mean over draws at each point, and five standard errors: (REPEATS * 3,) -> (3,)."""
    draws = bound.view(REPEATS, -1)
    return draws.mean(0), 5 * float(draws.std(0).max()) / REPEATS**0.5


def test_with_the_exact_posterior_the_unlabelled_bound_is_the_evidence_and_otherwise_lower_by_the_kl() -> None:
    joint = torch.randn(5, K).double()
    exact = joint.log_softmax(1)
    assert_close(unlabelled_bound(joint, exact + 7), joint.logsumexp(1))  # logits are free up to a constant
    other = torch.randn(5, K).double().log_softmax(1)
    kl = (other.exp() * (other - exact)).sum(1)
    assert_close(unlabelled_bound(joint, other), joint.logsumexp(1) - kl)


def test_the_labelled_bound_has_the_uniform_prior_and_the_gaussian_kl() -> None:
    mean, log_var = torch.randn(4, 6).double(), torch.randn(4, 6).double()
    kl = kl_divergence(Normal(mean, (0.5 * log_var).exp()), Normal(0.0, 1.0)).sum(1)
    assert_close(gaussian_kl(mean, log_var), kl)
    assert_close(labelled_bound(torch.full((4,), -3.0).double(), kl, 10), -3.0 - math.log(10) - kl)


def test_both_bounds_are_exact_where_all_is_gaussian(rng: torch.Generator) -> None:
    m2, x = linear_m2(), POINTS.repeat(REPEATS, 1)
    with torch.no_grad():
        for k in range(K):
            bound, error = average(m2.labelled(x, torch.full((len(x),), k), rng))
            assert_close(bound, log_joint(POINTS)[:, k], atol=error, rtol=0)
        assert_close(m2.classifier(POINTS).log_softmax(1), log_joint(POINTS).log_softmax(1))
        bound, error = average(m2.unlabelled(x, rng))
        assert_close(bound, log_joint(POINTS).logsumexp(1), atol=error, rtol=0)
        assert error < 0.05


@pytest.mark.parametrize("part", ["encoder.first.bias", "encoder.first.weight", "classifier.head.0.bias"])
def test_any_other_posterior_gives_less_than_the_evidence(part: str, rng: torch.Generator) -> None:
    m2 = linear_m2()
    with torch.no_grad():
        weight = m2.get_parameter(part)
        weight += torch.linspace(-1.5, 2.0, weight.numel()).view_as(weight)
        bound, error = average(m2.unlabelled(POINTS.repeat(REPEATS, 1), rng))
    assert (bound < log_joint(POINTS).logsumexp(1) - error).all()


def test_all_classes_at_once_are_the_classes_one_by_one() -> None:
    m2 = M2(4, K, 3, (16,), Gaussian())
    x, z = torch.randn(5, 4), torch.randn(5, 1, 3)
    together = [*m2.posterior(x, m2.every), m2.decoder(z, m2.every)]
    for k in range(K):
        y = m2.one_hot(torch.full((5,), k))
        alone = [*m2.posterior(x, y), m2.decoder(z, y)]
        for a, b in zip(together, alone, strict=True):
            assert_close(a[:, k], b[:, 0])


def test_the_objective_weighs_labels_by_their_share_and_classification_by_alpha(workbench: Any) -> None:
    spec = DataSpec("plane", (2,), n_classes=K, n_train=40)
    model = workbench.build(M1M2, spec, stack="m2", alpha=0.3)
    x = torch.randn(40, 2)
    model.start(Split(x, torch.arange(40) % K, torch.arange(10)), torch.Generator())
    y = torch.arange(10) % K

    def rng() -> torch.Generator:
        return torch.Generator().manual_seed(1)

    model.m2.labelled = lambda x, y, rng: -y.float()  # mean -0.9
    model.m2.unlabelled = lambda x, rng: torch.full((len(x),), -5.0)
    loss = model.m2_loss(Batch(x, rng(), None, x[:10], y))
    entropy = torch.nn.functional.cross_entropy(model.classify(x[:10]), y)
    assert_close(loss, 0.25 * y.float().mean() + 0.75 * 5.0 + 0.3 * entropy)


@pytest.mark.parametrize(("player", "part"), [("m1", "m1"), ("m2", "m2")])
def test_m1_is_frozen_while_m2_learns(workbench: Any, image8_spec: DataSpec, player: str, part: str) -> None:
    model = workbench.build(M1M2, image8_spec)
    rng = torch.Generator().manual_seed(0)
    data = Split(2 * torch.rand(60, 1, 8, 8, generator=rng) - 1, torch.arange(60) % 10, torch.arange(20))
    before = {k: v.clone() for k, v in model.named_parameters()}
    first = {"m1": 0.999, "m2": 0.0}[player]  # one of them gets (nearly) the whole budget
    object.__setattr__(model.config, "pretrain", first)
    train(model, data, Budget(iterations=2), rng)
    assert {k.split(".")[0] for k, v in model.named_parameters() if not torch.equal(v, before[k])} == {part}


@pytest.mark.parametrize("stack", ["m1", "m2", "m1+m2"])
def test_every_stack_trains_classifies_and_samples(workbench: Any, image8_spec: DataSpec, stack: str) -> None:
    model = workbench.build(M1M2, image8_spec, stack=stack)
    rng = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(60, 1, 8, 8, generator=rng) - 1
    train(model, Split(x, torch.arange(60) % 10, torch.arange(20)), Budget(iterations=4), rng)
    with torch.no_grad():
        assert model.classify(x).shape == (60, 10)
        assert model.reconstruct(x).shape == x.shape
        assert len(model.encode(x)) == 60
        events = model.sample(7, rng, torch.arange(7))
    assert events.shape == (7, 1, 8, 8)
    assert events.abs().max() <= 1


def test_samples_follow_their_class(workbench: Any) -> None:
    """M2 set to the linear model draws class means at HEADS."""
    model = workbench.build(M1M2, DataSpec("plane", (2,), n_classes=K), stack="m2", latent_dim=2)
    model.m2 = linear_m2(0.1).float()
    y = torch.arange(K).repeat_interleave(4000)
    with torch.no_grad():
        x = model.sample(len(y), torch.Generator().manual_seed(0), y)
    assert_close(x.view(K, 4000, 2).mean(1), HEADS.float(), atol=0.06, rtol=0)  # four standard errors of std <= 0.81
    assert_close(x.view(K, 4000, 2).std(1), torch.tensor([0.65, 0.37]).sqrt().expand(K, 2), atol=0.04, rtol=0)


def test_data_without_classes_is_refused(workbench: Any, vector_spec: DataSpec) -> None:
    with pytest.raises(NotApplicable, match="has none"):
        workbench.build(M1M2, vector_spec)
