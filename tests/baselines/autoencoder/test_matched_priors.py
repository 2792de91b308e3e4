"""AAE, WAE-GAN and WAE-MMD: each term by hand, who moves when, and codes that come to follow the prior."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from baselines.autoencoder.aae import AdversarialAutoencoder
from baselines.autoencoder.wae_gan import WAEGAN
from baselines.autoencoder.wae_mmd import WAEMMD
from ganbench.data import Batch, DataSpec, Split
from ganbench.engine.loop import train
from ganbench.model import Budget


def log_sigmoid(logits: Tensor) -> Tensor:
    return torch.log(torch.sigmoid(logits.double()))


def test_aae_losses_are_their_hand_written_forms(workbench: Any, image8_spec: DataSpec) -> None:
    model, x = workbench.build(AdversarialAutoencoder, image8_spec, prior_std=5.0), workbench.batch(image8_spec).x
    codes = model.encoder(x)
    prior = 5 * torch.randn(16, 8, generator=torch.Generator().manual_seed(2))
    d_prior, d_codes = model.discriminator(prior), model.discriminator(codes)
    expected = -(log_sigmoid(d_prior).mean() + log_sigmoid(-d_codes).mean())
    found = model.discriminator_loss(Batch(x, torch.Generator().manual_seed(2)))
    assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    assert_close(
        model.encoder_loss(Batch(x, torch.Generator())).double(), -log_sigmoid(d_codes).mean(), rtol=1e-5, atol=0
    )
    squared = ((x - model.decoder(codes)) ** 2).sum() / 16
    assert_close(model.reconstruction_loss(Batch(x, torch.Generator())), squared)


def test_aae_gaussian_posterior_draws_its_codes(workbench: Any, vector_spec: DataSpec) -> None:
    model = workbench.build(AdversarialAutoencoder, vector_spec)
    x = torch.ones(1, 2).expand(50_000, 2)
    with torch.no_grad():
        codes = model.infer(x, torch.Generator().manual_seed(1))
        mean, log_var = model.encoder(x[:1]).chunk(2, 1)
    assert_close(codes.mean(0), mean[0], atol=0.03, rtol=0)
    assert_close(codes.var(0), log_var[0].exp(), atol=0, rtol=0.03)
    assert_close(model.encode(x[:1]), mean)


def test_wae_gan_losses_are_their_hand_written_forms(workbench: Any, image8_spec: DataSpec) -> None:
    model, x = workbench.build(WAEGAN, image8_spec, cost_weight=0.05), workbench.batch(image8_spec).x
    codes = model.encoder(x)
    prior = torch.randn(16, 8, generator=torch.Generator().manual_seed(2))
    d_prior, d_codes = model.discriminator(prior), model.discriminator(codes)
    adversary = -10 * (log_sigmoid(d_prior).mean() + log_sigmoid(-d_codes).mean())
    found = model.discriminator_loss(Batch(x, torch.Generator().manual_seed(2)))
    assert_close(found.double(), adversary, rtol=1e-5, atol=1e-6)
    cost = ((x - model.decoder(codes)) ** 2).sum() / 16
    expected = 0.05 * cost.double() - 10 * log_sigmoid(d_codes).mean()
    assert_close(model.autoencoder_loss(Batch(x, torch.Generator())).double(), expected, rtol=1e-5, atol=1e-6)


def test_wae_mmd_loss_is_its_hand_written_form(workbench: Any, image8_spec: DataSpec) -> None:
    model, x = workbench.build(WAEMMD, image8_spec).double(), workbench.batch(image8_spec, 5).x.double()
    codes = model.encoder(x)
    prior = torch.randn(5, 8, generator=torch.Generator().manual_seed(2)).double()

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return sum(c / (c + (a - b).square().sum()) for c in (16 * s for s in model.config.scales))

    mmd = torch.zeros(()).double()
    for i in range(5):
        for j in range(5):
            if i != j:
                mmd = mmd + (kernel(codes[i], codes[j]) + kernel(prior[i], prior[j])) / (5 * 4)
            mmd = mmd - 2 * kernel(codes[i], prior[j]) / 25
    cost = ((x - model.decoder(codes)) ** 2).sum() / 5
    rng = torch.Generator().manual_seed(2)
    assert_close(model.loss(Batch(x, rng)), cost + 10 * mmd, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("cls", "player", "parts"),
    [
        (AdversarialAutoencoder, "autoencoder", {"encoder", "decoder"}),
        (AdversarialAutoencoder, "discriminator", {"discriminator"}),
        (AdversarialAutoencoder, "encoder", {"encoder"}),
        (WAEGAN, "discriminator", {"discriminator"}),
        (WAEGAN, "autoencoder", {"encoder", "decoder"}),
        (WAEMMD, "autoencoder", {"encoder", "decoder"}),
    ],
)
def test_who_moves_when(workbench: Any, image8_spec: DataSpec, cls: Any, player: str, parts: set[str]) -> None:
    assert workbench.moved(workbench.build(cls, image8_spec), player) == parts


@pytest.mark.slow
@pytest.mark.parametrize("cls", [AdversarialAutoencoder, WAEGAN, WAEMMD])
def test_codes_come_to_follow_the_prior(workbench: Any, cls: Any, rng: torch.Generator) -> None:
    x = torch.randn(4000, 2, generator=rng) @ torch.tensor([[2.0, 0.5], [0.0, 0.7]]) + 1
    model = workbench.build(cls, DataSpec("gaussian", (2,)))
    train(model, Split(x), Budget(iterations=3000), rng)
    with torch.no_grad():
        codes = model.encode(x)
        assert_close(codes.mean(0), torch.zeros(2), atol=0.25, rtol=0)
        assert_close(torch.cov(codes.T), torch.eye(2), atol=0.35, rtol=0)
        assert float((model.reconstruct(x) - x).square().mean()) < 0.05
