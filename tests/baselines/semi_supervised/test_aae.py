"""Adversarial autoencoders with classes: what enters which network, and the cost that keeps heads apart."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from baselines.semi_supervised.aae_dimred import DimensionReducingAAE, head_cost
from baselines.semi_supervised.aae_semisup import SemiSupervisedAAE
from baselines.semi_supervised.aae_supervised import SupervisedAAE
from ganbench.data import Batch, DataSpec, Split
from ganbench.engine.loop import train
from ganbench.engine.turns import Batches, Turn
from ganbench.errors import NotApplicable
from ganbench.model import Budget, Model

FEW = [SemiSupervisedAAE, DimensionReducingAAE]


def few_labels(n: int = 64) -> Split:
    rng = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(n, 1, 8, 8, generator=rng) - 1
    return Split(x, torch.arange(n) % 10, torch.arange(20))


def moved(model: Model, data: Split) -> dict[str, set[str]]:
    """Which top-level parts each player's turn changes."""
    found = {}
    for player in model.players():
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        Turn(player, Batches(model, data, torch.Generator().manual_seed(0)))()
        changed = {name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(before[name], p)}
        found[player.name] = changed
    return found


def test_each_phase_moves_the_networks_of_the_paper(workbench: Any, image8_spec: DataSpec) -> None:
    split = few_labels()
    assert moved(workbench.build(SupervisedAAE, image8_spec), split) == {
        "autoencoder": {"encoder", "decoder"},
        "discriminator": {"discriminator"},
        "encoder": {"encoder"},
    }
    phases = {
        "autoencoder": {"encoder", "decoder"},
        "discriminators": {"class_judge", "style_judge"},
        "encoder": {"encoder"},
        "classifier": {"encoder"},
    }
    assert moved(workbench.build(SemiSupervisedAAE, image8_spec), split) == phases
    phases["autoencoder"] |= {"heads"}
    assert moved(workbench.build(DimensionReducingAAE, image8_spec), split) == phases


def test_heads_are_charged_for_what_their_distance_lacks() -> None:
    triangle = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]], requires_grad=True)  # distances 3, 4, 5
    assert_close(head_cost(triangle, 3.0), torch.tensor(0.0))
    assert_close(head_cost(triangle, 4.5), torch.tensor(1.5 + 0.5))
    assert_close(head_cost(triangle, 6.0), torch.tensor(3.0 + 2.0 + 1.0))
    (gradient,) = torch.autograd.grad(head_cost(triangle, 3.5), triangle)  # one pair: pushed straight apart
    assert_close(gradient, torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]))


def test_descent_on_the_cost_spreads_heads_beyond_the_threshold(rng: torch.Generator) -> None:
    heads = torch.randn(10, 2, generator=rng, requires_grad=True)
    optimiser = torch.optim.SGD([heads], lr=0.02)
    for _ in range(2000):
        optimiser.zero_grad()
        head_cost(heads, 4.0).backward()
        optimiser.step()
    assert F.pdist(heads.detach()).min() > 3.9


def test_the_supervised_decoder_reads_class_and_style_the_encoder_gives_style_alone(
    workbench: Any, image8_spec: DataSpec, rng: torch.Generator
) -> None:
    model = workbench.build(SupervisedAAE, image8_spec)
    seen = []
    model.decoder.register_forward_hook(lambda module, args, out: seen.append(args[0]))
    y = torch.tensor([3, 0, 9])
    model.sample(3, rng, y)
    assert seen[0].shape == (3, 10 + 2)
    assert_close(seen[0][:, :10], F.one_hot(y, 10).float())
    x = few_labels().x
    assert model.encode(x).shape == (64, 2)
    # Equal codes at other labels are other losses: the label does enter.
    losses = [model.reconstruction_loss(Batch(x, rng, torch.full((64,), k))) for k in (0, 1)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("model", FEW)
def test_class_and_style_of_the_prior(
    workbench: Any, image8_spec: DataSpec, rng: torch.Generator, model: type[Model]
) -> None:
    aae = workbench.build(model, image8_spec)
    y, z = aae.draw_prior(20_000, rng)
    assert_close(y.sum(1), torch.ones(20_000))
    assert_close(y.mean(0), torch.full((10,), 0.1), atol=0.01, rtol=0)  # 5 errors of 0.0021
    assert_close(z.mean(0), torch.zeros(z.shape[1]), atol=0.04, rtol=0)
    assert_close(z.var(0), torch.ones(z.shape[1]), atol=0.06, rtol=0)


@pytest.mark.parametrize("model", FEW)
def test_judges_of_nothing_pay_two_logs_of_two_each_and_the_encoder_one(
    workbench: Any, image8_spec: DataSpec, model: type[Model]
) -> None:
    aae = workbench.build(model, image8_spec)
    for judge in (aae.class_judge, aae.style_judge):
        torch.nn.init.zeros_(judge.head[0].weight)
        torch.nn.init.zeros_(judge.head[0].bias)
    batch = workbench.batch(image8_spec)
    assert_close(aae.discriminator_loss(batch), torch.tensor(4 * math.log(2)))
    assert_close(aae.encoder_loss(batch), torch.tensor(2 * math.log(2)))


def test_the_picture_is_the_head_of_the_class_plus_style(workbench: Any, image8_spec: DataSpec) -> None:
    model = workbench.build(DimensionReducingAAE, image8_spec)
    with torch.no_grad():
        model.encoder.head[0].weight.zero_()
        model.encoder.head[0].bias.zero_()
        model.encoder.head[0].bias[4] = 50.0  # q(y = 4 | x) = 1 to float precision
        model.encoder.head[0].bias[10:] = torch.tensor([0.25, -0.5])
        code = model.encode(few_labels().x)
    assert_close(code, (model.heads.weight[:, 4] + torch.tensor([0.25, -0.5])).detach().expand(64, 2))


@pytest.mark.parametrize("model", FEW)
def test_hidden_labels_never_matter(workbench: Any, image8_spec: DataSpec, model: type[Model]) -> None:
    data, states = few_labels(), []
    assert data.y is not None
    for hidden in (-1, 7):
        y = data.y.clone()
        y[20:] = hidden
        aae = workbench.build(model, image8_spec)
        train(aae, Split(data.x, y, data.labelled), Budget(iterations=3), torch.Generator().manual_seed(0))
        states.append(aae.state_dict())
    for key, value in states[0].items():
        assert_close(states[1][key], value, atol=0, rtol=0)


@pytest.mark.parametrize("model", [SupervisedAAE, *FEW])
def test_data_without_classes_is_refused(workbench: Any, vector_spec: DataSpec, model: type[Model]) -> None:
    with pytest.raises(NotApplicable, match="has none"):
        workbench.build(model, vector_spec)
