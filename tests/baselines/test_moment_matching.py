"""Moment matching and transport generators against metrics, scipy and closed forms."""

import math

import pytest
import torch
from scipy.optimize import minimize
from torch import nn
from torch.testing import assert_close

from baselines.moment.dual_gan_linear import DualGANLinear, FourierFeatures, ascend_duals, dual, primal, weights
from baselines.moment.gmmn import GMMN
from baselines.moment.gmmn_ae import GMMNAE
from baselines.moment.mmd_gan import MMDGAN, infeasibility
from baselines.moment.swg import SlicedWassersteinGenerator
from ganbench.data import Batch, Split
from ganbench.engine.loop import train
from ganbench.metrics.mmd import mmd
from ganbench.model import Budget

TWO_LOG_2 = 2 * math.log(2)


def built(cls, spec, **overrides):
    torch.manual_seed(0)
    model = cls(cls.configure(spec, **overrides))
    model.build(spec)
    return model


def test_gmmn_loss_is_the_mmd_metric_on_the_same_batch(vector_spec, rng):
    model = built(GMMN, vector_spec)
    x = torch.randn(256, 2, generator=rng)
    state = rng.get_state()
    loss = model.loss(Batch(x, rng))
    rng.set_state(state)
    fake = model.sample(256, rng).detach()
    score = mmd(fake, x, rng=rng, bandwidth=model.kernel.bandwidths, estimator="biased", root=True)
    assert_close(loss.item(), score.value, rtol=1e-4, atol=0)


def test_gmmn_kernel_widths_are_the_papers_on_mnist(image28_spec):
    widths = torch.tensor(built(GMMN, image28_spec).kernel.bandwidths)
    # exp(-d^2 / 2 sigma) on [0, 1] is a standard deviation of 2 sqrt(sigma) on [-1, 1].
    assert_close(widths, 2 * torch.tensor([2.0, 5, 10, 20, 40, 80]).sqrt(), rtol=0.03, atol=0)


def test_gmmn_ae_trains_the_autoencoder_first_and_then_only_the_generator(vector_spec, rng):
    model = built(GMMNAE, vector_spec, pretrain=0.5, batch_size=16)
    data = Split(torch.randn(64, 2, generator=rng))
    before = [p.clone() for p in model.generator.parameters()]
    training = train(model, data, Budget(iterations=10), rng)
    assert training.history["autoencoder"][0] == [0, 1, 2, 3, 4]
    assert training.history["generator"][0] == [5, 6, 7, 8, 9]
    assert any((a != b).any() for a, b in zip(before, model.generator.parameters(), strict=True))
    loss = model.generator_loss(Batch(data.x, rng))
    grads = torch.autograd.grad(loss, list(model.autoencoder.parameters()), allow_unused=True)
    assert all(g is None for g in grads)


def test_gmmn_ae_shows_its_autoencoder_a_part_of_the_batch(vector_spec, rng):
    some, all_of_it = (built(GMMNAE, vector_spec, autoencoder_batch=n) for n in (10, None))
    x = torch.randn(64, 2, generator=rng)
    assert_close(some.reconstruction_loss(Batch(x, rng)), all_of_it.reconstruction_loss(Batch(x[:10], rng)))
    assert_close(
        some.generator_loss(Batch(x, torch.Generator().manual_seed(0))),
        all_of_it.generator_loss(Batch(x, torch.Generator().manual_seed(0))),
    )


def test_gmmn_ae_recipe_drops_half_of_the_hidden_units_and_decodes_probabilities(image28_spec, rng):
    options = {"autoencoder_hidden": (16,), "activation": "sigmoid", "output": "bernoulli", "dropout": 0.0}
    whole, half = (built(GMMNAE, image28_spec, **options, hidden_dropout=p) for p in (0.0, 0.5))
    half.load_state_dict(whole.state_dict())
    x = 2 * torch.rand(64, 1, 28, 28, generator=rng) - 1
    batch = Batch(x, torch.Generator().manual_seed(0))
    p = (1 + whole.reconstruct(x)) / 2
    cross_entropy = -torch.xlogy((1 + x) / 2, p) - torch.xlogy((1 - x) / 2, 1 - p)
    assert_close(whole.reconstruction_loss(batch), cross_entropy.flatten(1).sum(1).mean(), rtol=1e-4, atol=0)
    losses = {half.reconstruction_loss(Batch(x, torch.Generator().manual_seed(s))).item() for s in range(5)}
    assert len(losses) == 5
    assert whole.sample(3, rng).abs().max() <= 1


def test_mmd_gan_clips_its_encoder_and_its_feasible_set_is_one_sided(vector_spec, rng):
    model = built(MMDGAN, vector_spec, clip=0.05)
    train(model, Split(torch.randn(64, 2, generator=rng)), Budget(iterations=3), rng)
    assert max(p.abs().max() for p in model.encoder.parameters()) <= 0.05
    assert max(p.abs().max() for p in model.decoder.parameters()) > 0.05
    low, high = torch.zeros(4, 3), torch.tensor([[1.0, 2.0, 3.0]]).expand(4, 3)
    assert infeasibility(low, high) == 0
    assert_close(infeasibility(high, low), torch.tensor(2.0))


def test_swg_on_the_line_is_the_squared_distance_of_sorted_batches(rng):
    from ganbench.data import DataSpec

    model = built(SlicedWassersteinGenerator, DataSpec("line", (1,)), projections=3)
    x = torch.randn(32, 1, generator=rng)
    state = rng.get_state()
    loss = model.generator_loss(Batch(x, rng))
    rng.set_state(state)
    fake = model.sample(32, rng)
    assert_close(loss, (fake.sort(0).values - x.sort(0).values).square().mean(), rtol=1e-4, atol=1e-7)


def test_swg_measures_images_in_layer_normed_features_of_the_discriminator(image28_spec, rng):
    model = built(SlicedWassersteinGenerator, image28_spec)
    norms = [m for m in model.discriminator.modules() if isinstance(m, nn.GroupNorm)]
    assert norms
    assert all(m.num_groups == 1 for m in norms)
    x = 2 * torch.rand(4, 1, 28, 28, generator=rng) - 1
    with torch.no_grad():  # what follows the first layer is normed: its scale leaves the features alone
        first = model.discriminator.body[0]
        first.weight *= 10  # from where the norm's epsilon is small
        before = model.place(x)
        first.weight *= 10
        assert_close(model.place(x), before, rtol=0.02, atol=0.02)
    assert [p.name for p in model.players()] == ["discriminator", "generator"]


@pytest.mark.parametrize("c", [0.05, 0.5, 5.0])
def test_dual_at_the_ascended_duals_is_the_primal_minimum_of_scipy(rng, c):
    real = torch.randn(20, 3, generator=rng).double() + 0.5
    fake = torch.randn(15, 3, generator=rng).double()
    found = minimize(lambda w: primal(real, fake, torch.from_numpy(w), c).item(), [0.0] * 3, tol=1e-12)
    s_real, s_fake = ascend_duals(real, fake, c, steps=3000)
    assert_close(dual(real, fake, s_real, s_fake, c).item(), found.fun, rtol=1e-7, atol=0)
    assert_close(weights(real, fake, s_real, s_fake, c), torch.from_numpy(found.x), rtol=1e-3, atol=1e-4)


def test_any_duals_are_below_any_discriminator(rng):
    real, fake = torch.randn(20, 3, generator=rng), torch.randn(15, 3, generator=rng)
    for _ in range(20):
        s_real, s_fake, w = (2 * torch.randn(n, generator=rng) for n in (20, 15, 3))
        assert dual(real, fake, s_real, s_fake, 0.3) <= primal(real, fake, w, 0.3)


def test_a_linear_discriminator_on_raw_data_cannot_tell_a_ring_from_its_centre(rng):
    angle = torch.arange(8) * (math.pi / 4)
    ring = torch.stack([angle.cos(), angle.sin()], 1).repeat(32, 1)
    centre = torch.zeros(256, 2)

    def value(phi):
        s_real, s_fake = ascend_duals(phi(ring), phi(centre), 0.01, 200)
        return dual(phi(ring), phi(centre), s_real, s_fake, 0.01).item()

    assert_close(value(torch.nn.Flatten()), TWO_LOG_2, rtol=1e-6, atol=0)  # the generator's maximum: it has won
    cosines = FourierFeatures(128, (0.5,))
    assert value(lambda x: cosines(x, torch.Generator().manual_seed(0))) < 0.5 * TWO_LOG_2


def test_fourier_features_have_gaussian_inner_products(rng):
    x = torch.randn(6, 3, generator=rng)
    phi = FourierFeatures(200_000, (0.7, 2.0))(x, rng)
    square = torch.cdist(x, x).square()
    kernel = (torch.exp(-square / (2 * 0.7**2)) + torch.exp(-square / (2 * 2.0**2))) / 2
    assert_close(phi @ phi.T, kernel, rtol=0, atol=0.015)


def test_fakes_cannot_satisfy_cosines_that_they_have_not_seen(vector_spec, rng):
    model = built(DualGANLinear, vector_spec, features="fourier", n_features=16)
    x, fake = torch.randn(64, 2, generator=rng), torch.randn(64, 2, generator=rng) + 1
    values = torch.stack([model.best_response(x, fake, rng) for _ in range(8)])
    assert values.std() > 0.01  # other features in each batch: with fixed ones all eight are one number
    again = [model.best_response(x, fake, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert again[0] == again[1]  # and they come from the stream of the batch


@pytest.mark.parametrize("features", ["identity", "fourier", "learned"])
def test_dual_gan_players(vector_spec, rng, features):
    model = built(DualGANLinear, vector_spec, features=features, n_features=16, batch_size=16)
    train(model, Split(torch.randn(64, 2, generator=rng)), Budget(iterations=2), rng)
    assert [p.name for p in model.players()] == (["features"] if features == "learned" else []) + ["generator"]
