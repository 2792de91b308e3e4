"""EBGAN, BEGAN and InfoGAN: closed forms, hand-written losses, who moves when."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Normal
from torch.testing import assert_close

from baselines.adversarial.began import BEGAN, balance, convergence
from baselines.adversarial.ebgan import EBGAN, pulling_away
from baselines.adversarial.infogan import InfoGAN
from ganbench.data import Batch, DataSpec, Split
from ganbench.engine.loop import train
from ganbench.model import Budget


def test_pulling_away_is_zero_for_orthogonal_and_one_for_parallel_codes() -> None:
    assert_close(pulling_away(2 * torch.eye(5)), torch.tensor(0.0), atol=1e-6, rtol=0)
    parallel = torch.tensor(
        [[1.0, 2.0], [-3.0, -6.0], [0.1, 0.2]]
    )  # opposite signs count the same: the cosine is squared
    assert_close(pulling_away(parallel), torch.tensor(1.0))


def test_pulling_away_is_the_mean_squared_cosine_over_pairs(rng: torch.Generator) -> None:
    codes = torch.randn(6, 4, generator=rng).double()
    pairs = [
        (codes[i] @ codes[j] / (codes[i].norm() * codes[j].norm())) ** 2 for i in range(6) for j in range(6) if i != j
    ]
    assert_close(pulling_away(codes), sum(pairs) / (6 * 5))


@pytest.mark.parametrize("margin", [0.01, 100.0])
def test_ebgan_losses_are_their_hand_written_forms(workbench: Any, image8_spec: DataSpec, margin: float) -> None:
    model, x = workbench.build(EBGAN, image8_spec, margin=margin), workbench.batch(image8_spec).x
    fake = model.generate(16, torch.Generator().manual_seed(2))
    real_energy = torch.stack([(model.reconstruct(x[i : i + 1]) - x[i]).norm() for i in range(16)])
    fake_energy = torch.stack([(model.reconstruct(fake[i : i + 1]) - fake[i]).norm() for i in range(16)])
    hinge = torch.stack([max(margin - e, torch.zeros(())) for e in fake_energy])
    found = model.discriminator_loss(Batch(x, torch.Generator().manual_seed(2)))
    assert_close(found, real_energy.mean() + hinge.mean(), rtol=1e-5, atol=1e-5)
    found = model.generator_loss(Batch(x, torch.Generator().manual_seed(2)))
    assert_close(found, fake_energy.mean() + 0.1 * pulling_away(model.encoder(fake)), rtol=1e-5, atol=1e-5)


def test_ebgan_generator_feels_the_target_of_the_reconstruction(workbench: Any, image8_spec: DataSpec) -> None:
    model = workbench.build(EBGAN, image8_spec, pt_weight=0.0)
    fake = torch.zeros(4, 1, 8, 8).requires_grad_()
    (through_both,) = torch.autograd.grad(model.energy(fake, model.encoder(fake)).mean(), fake)
    (through_codes,) = torch.autograd.grad(model.energy(fake.detach(), model.encoder(fake)).mean(), fake)
    assert float((through_both - through_codes).norm()) > 0.1 * float(through_both.norm())


def test_k_of_began_by_hand() -> None:
    k, real, fake = torch.tensor(0.2), torch.tensor(0.6), torch.tensor(0.1)
    assert_close(balance(k, real, fake, gamma=0.5, rate=0.01), torch.tensor(0.2 + 0.01 * (0.5 * 0.6 - 0.1)))
    assert_close(balance(torch.tensor(0.0), real, torch.tensor(0.9), gamma=0.5, rate=0.01), torch.tensor(0.0))
    assert_close(balance(torch.tensor(0.999), torch.tensor(9.0), fake, gamma=0.5, rate=0.01), torch.tensor(1.0))
    assert_close(convergence(real, fake, gamma=0.5), torch.tensor(0.6 + 0.2))
    assert_close(convergence(real, torch.tensor(0.9), gamma=0.5), torch.tensor(0.6 + 0.6))


def test_k_of_began_moves_once_per_iteration_by_the_errors_of_the_last_turns(
    workbench: Any, image8_spec: DataSpec
) -> None:
    model, batch = workbench.build(BEGAN, image8_spec, k_rate=0.5, gamma=0.9), workbench.batch(image8_spec, 64)
    assert float(model.k) == 0.0
    train(model, Split(batch.x), Budget(iterations=1), torch.Generator().manual_seed(0))
    real_error, fake_error = model.errors.tolist()
    assert 0 < fake_error < 0.9 * real_error  # where k is not held at 0
    assert_close(float(model.k), 0.5 * (0.9 * real_error - fake_error), rtol=1e-5, atol=1e-7)


def test_began_losses_are_their_hand_written_forms(workbench: Any, image8_spec: DataSpec) -> None:
    model, x = workbench.build(BEGAN, image8_spec), workbench.batch(image8_spec).x
    model.k.fill_(0.3)
    fake = model.generate(16, torch.Generator().manual_seed(2))
    real_error = ((x - model.reconstruct(x)).abs().sum() / x.numel()).item()
    fake_error = ((fake - model.reconstruct(fake)).abs().sum() / x.numel()).item()
    found = model.discriminator_loss(Batch(x, torch.Generator().manual_seed(2)))
    assert_close(found.item(), real_error - 0.3 * fake_error, rtol=1e-5, atol=1e-6)
    assert_close(model.generator_loss(Batch(x, torch.Generator().manual_seed(2))).item(), fake_error, rtol=1e-5, atol=0)
    assert_close(model.errors, torch.tensor([real_error, fake_error]), rtol=1e-5, atol=1e-6)
    m = model.diagnostics(Batch(x, torch.Generator().manual_seed(2)))["M"]
    assert_close(m.item(), real_error + abs(model.config.gamma * real_error - fake_error), rtol=1e-5, atol=1e-6)


def test_k_of_began_is_part_of_the_state(workbench: Any, image8_spec: DataSpec) -> None:
    assert {"k", "errors"} <= set(workbench.build(BEGAN, image8_spec).state_dict())


@pytest.mark.parametrize(
    ("cls", "player", "parts"),
    [
        (EBGAN, "discriminator", {"encoder", "decoder"}),
        (EBGAN, "generator", {"generator"}),
        (BEGAN, "discriminator", {"encoder", "decoder"}),
        (BEGAN, "generator", {"generator"}),
        (InfoGAN, "discriminator", {"discriminator", "q_head"}),
        (InfoGAN, "generator", {"generator"}),
    ],
)
def test_who_moves_when(workbench: Any, image8_spec: DataSpec, cls: Any, player: str, parts: set[str]) -> None:
    assert workbench.moved(workbench.build(cls, image8_spec), player) == parts


def test_information_is_the_entropy_bound_written_with_distributions(workbench: Any, image8_spec: DataSpec) -> None:
    model, batch = workbench.build(InfoGAN, image8_spec), workbench.batch(image8_spec)
    category, continuous = model.draw_codes(16, batch.rng)
    logits, mean = model.posterior(batch.x)
    log_q = Categorical(logits=logits).log_prob(category) + Normal(mean, 1.0).log_prob(continuous).sum(1)
    entropy = Categorical(torch.full((10,), 0.1)).entropy() + 2 * math.log(2)
    assert_close(model.information(batch.x, category, continuous), log_q.mean() + entropy)


def test_information_is_zero_for_a_blind_q_and_log_k_for_a_sure_one(workbench: Any, image8_spec: DataSpec) -> None:
    model, batch = workbench.build(InfoGAN, image8_spec, n_continuous=0), workbench.batch(image8_spec)
    category = torch.full((16,), 3)
    head = model.q_head[-1]
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
        nothing = torch.empty(16, 0)
        assert_close(model.information(batch.x, category, nothing), torch.tensor(0.0), atol=1e-6, rtol=0)
        head.bias[3] = 50.0
        assert_close(model.information(batch.x, category, nothing), torch.tensor(math.log(10)))
        assert set(model.cluster(batch.x).tolist()) == {3}


def test_infogan_varies_one_code_along_each_row(workbench: Any, image8_spec: DataSpec, rng: torch.Generator) -> None:
    model = workbench.build(InfoGAN, image8_spec, n_categories=3, n_continuous=2).eval()
    with torch.no_grad():
        sheet = model.vary(5, rng)
        assert sheet.shape == (6, 5, 1, 8, 8)
        assert_close(sheet[:3, 2], sheet[3:, 2])  # where both codes are 0
        assert not torch.equal(sheet[0, 0], sheet[0, 4])
        only = workbench.build(InfoGAN, image8_spec, n_categories=3, n_continuous=0).eval().vary(6, rng)
    assert_close(only[0, :3], only[0, 3:])


def test_infogan_losses_are_the_gans_minus_the_information(workbench: Any, image8_spec: DataSpec) -> None:
    model, x = workbench.build(InfoGAN, image8_spec, info_weight=0.7), workbench.batch(image8_spec).x
    rng = torch.Generator().manual_seed(5)
    category, continuous = model.draw_codes(16, rng)
    fake = model.generate_from(category, continuous, model.draw_noise(16, rng))
    information = model.information(fake, category, continuous)
    real_logits, fake_logits = model.discriminator(x), model.discriminator(fake)
    bce = -(real_logits.sigmoid().log() + (1 - fake_logits.sigmoid()).log()).mean()
    found = model.discriminator_loss(Batch(x, torch.Generator().manual_seed(5)))
    assert_close(found, bce - 0.7 * information, rtol=1e-4, atol=1e-5)
    found = model.generator_loss(Batch(x, torch.Generator().manual_seed(5)))
    assert_close(found, -fake_logits.sigmoid().log().mean() - 0.7 * information, rtol=1e-4, atol=1e-5)


def test_q_of_infogan_is_read_by_the_moments_of_data(workbench: Any, image8_spec: DataSpec, rng: Any) -> None:
    """In training its batch norm sees fakes alone; categories are asked of data."""
    model = workbench.build(InfoGAN, image8_spec, batch_size=16)
    x = (0.3 * torch.randn(64, *image8_spec.event_shape, generator=rng) + 0.5).clamp(-1, 1)
    train(model, Split(x), Budget(iterations=3), rng)
    with torch.no_grad():
        inputs = model.q_head[0](model.features(x))
    norm = model.q_head[1]
    assert isinstance(norm, nn.BatchNorm1d)
    assert_close(norm.running_mean, inputs.mean(0), rtol=1e-4, atol=1e-5)
