"""The ladder's denoising cost and its combinator against closed values."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.testing import assert_close

from baselines.semi_supervised.ladder import Combinator, Ladder, LadderNetwork, denoising_cost, moments
from ganbench.data import Batch, DataSpec, Split
from ganbench.engine.loop import train
from ganbench.errors import NotApplicable
from ganbench.model import Budget


def constant(combinator: Combinator, share: torch.Tensor, mean: torch.Tensor) -> None:
    """Make it (z - mean) share + mean, whatever u is."""
    with torch.no_grad():
        combinator.mean.zero_()
        combinator.share.zero_()
        combinator.mean[4], combinator.share[4] = mean, share


def test_the_cost_is_a_mean_square_after_the_clean_paths_normalisation(rng: torch.Generator) -> None:
    z, mean, std = torch.randn(8, 3, generator=rng), torch.tensor([1.0, -2.0, 0.0]), torch.tensor([2.0, 0.5, 1.0])
    assert_close(denoising_cost(z, z * std + mean, (mean, std)), torch.tensor(0.0))
    assert_close(denoising_cost(z, (z + 0.1) * std + mean, (mean, std)), torch.tensor(0.01))
    off = torch.zeros_like(z)
    off[0, 0] = 6.0  # one of 24 numbers is off by 6 / 2
    assert_close(denoising_cost(z, z * std + mean + off, (mean, std)), torch.tensor(9.0 / 24))
    assert_close(denoising_cost(z, z - 3, None), torch.tensor(9.0))


def test_without_noise_combinators_that_undo_the_normalisation_cost_nothing(rng: torch.Generator) -> None:
    net = LadderNetwork(6, (5, 4), 3, input_noise=0.0, noise=0.0).double()
    x = torch.rand(40, 6, generator=rng).double()
    _, stats, _, _ = net.encode(x, None)
    constant(net.combinators[0], torch.ones(6).double(), torch.zeros(6).double())
    for combinator, (mean, std) in zip(net.combinators[1:], stats, strict=True):
        constant(combinator, std, mean / (1 - std))
    for cost in net.costs(x, rng):
        assert_close(cost, torch.tensor(0.0).double(), atol=1e-8, rtol=0)  # of the 1e-10 added to variances
    net.noises = [0.5, 0.0, 0.0, 0.0]
    costs = net.costs(x.repeat(500, 1), rng)
    assert_close(costs[0], torch.tensor(0.25).double(), rtol=0.03, atol=0)  # identity keeps the noise
    assert costs[1] > 0.01


def test_clean_layers_have_zero_mean_and_unit_variance_and_noisy_ones_their_noise_on_top(rng: torch.Generator) -> None:
    net = LadderNetwork(6, (5,), 3, input_noise=0.3, noise=0.4)
    x = torch.rand(20_000, 6, generator=rng)
    for layer, z in enumerate(net.encode(x, None)[0]):
        if layer:
            assert_close(z.mean(0), torch.zeros(z.shape[1]), atol=1e-4, rtol=0)
            assert_close(z.var(0), torch.ones(z.shape[1]), atol=1e-3, rtol=0)
    noisy = net.encode(x, rng)[0]
    assert_close((noisy[0] - x).std(0), torch.full((6,), 0.3), atol=0.01, rtol=0)
    for z in noisy[1:]:
        assert_close(z.var(0), torch.full((z.shape[1],), 1.16), atol=0.06, rtol=0)


def test_the_best_combinator_of_a_gaussian_is_its_posterior_mean(rng: torch.Generator) -> None:
    """z | u ~ N(0.7 u - 0.2, s^2) seen under noise: least squares finds E[z | z~, u] and its error."""
    s, noise = 0.8, 0.5
    u = torch.randn(4000, 1, generator=rng).double()
    prior = 0.7 * u - 0.2
    z = prior + s * torch.randn(u.shape, generator=rng).double()
    seen = z + noise * torch.randn(u.shape, generator=rng).double()
    share = s**2 / (s**2 + noise**2)
    posterior = prior + share * (seen - prior)
    g = Combinator(1).double()
    optimiser = torch.optim.LBFGS(g.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = denoising_cost(z, g(seen, u), None)
        loss.backward()
        return loss

    optimiser.step(closure)
    fitted = g(seen, u).detach()
    assert_close(denoising_cost(z, posterior, None).item(), share * noise**2, rtol=0.1, atol=0)
    assert (fitted - posterior).square().mean() < 0.01 * share * noise**2  # ten coefficients from 4,000 draws


def test_test_time_uses_running_moments_of_the_clean_path(workbench: Any, rng: torch.Generator) -> None:
    spec = DataSpec("plane", (4,), n_classes=3, n_train=90)
    model = workbench.build(Ladder, spec, hidden=(8,), batch_size=90)
    x = torch.randn(90, 4, generator=rng)
    data = Split(x, torch.arange(90) % 3, torch.arange(30))
    object.__setattr__(model.config, "lr", 1e-12)  # weights stand still, so the moments are known
    train(model, data, Budget(iterations=400), rng)
    with torch.no_grad():
        mean, std = moments(x @ model.network.up[0].T)
        assert_close(model.network.mean0, mean, atol=1e-3, rtol=1e-2)
        assert_close(model.network.std0, std, atol=1e-3, rtol=1e-2)
        one_by_one = torch.cat([model.classify(x[i : i + 1]) for i in range(5)])
        assert_close(one_by_one, model.classify(x[:5]))
        assert model.features(x).shape == (90, 8)


def test_the_objective_weighs_layers_as_published(workbench: Any, image28_spec: DataSpec) -> None:
    model = workbench.build(Ladder, image28_spec, hidden=(16,) * 5)
    assert model.weights == (1000.0, 10.0, 0.1, 0.1, 0.1, 0.1, 0.1)
    model.network.costs = lambda x, rng: [torch.tensor(2.0**-i) for i in range(7)]
    x, y = torch.rand(20, 1, 28, 28), torch.arange(20) % 10
    model.network.encode = lambda x, rng: (None, torch.zeros(len(x), 10))
    loss = model.loss(Batch(x, torch.Generator(), None, x, y))
    assert_close(loss, torch.tensor(2.302585 + 1000 + 5 + 0.1 * (0.25 + 0.125 + 0.0625 + 0.03125 + 0.015625)))


def test_two_blobs_need_two_labels(workbench: Any, rng: torch.Generator) -> None:
    spec = DataSpec("blobs", (2,), n_classes=2, n_train=400)
    y = torch.arange(400) % 2
    x = torch.randn(400, 2, generator=rng) * 0.3 + (2.0 * y - 1)[:, None]
    model = workbench.build(Ladder, spec, denoising=(1.0, 1.0, 0.1))
    hidden = torch.where(torch.arange(400) < 4, y, -1)
    train(model, Split(x, hidden, torch.arange(4)), Budget(iterations=200), rng)
    with torch.no_grad():
        assert (model.classify(x).argmax(1) == y).float().mean() > 0.97


def test_data_without_classes_is_refused(workbench: Any, vector_spec: DataSpec) -> None:
    with pytest.raises(NotApplicable, match="has none"):
        workbench.build(Ladder, vector_spec)
