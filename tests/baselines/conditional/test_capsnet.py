"""Capsules: laws of squashing and routing, the margin, and a CNN of as many parameters."""

from __future__ import annotations

import pytest
import torch

from baselines.adversarial.dcgan import DCGAN
from baselines.conditional.capsnet import CapsNet
from ganbench.data import DataSpec
from ganbench.errors import NotApplicable
from ganbench.losses.categorical import margin
from ganbench.nn.capsules import lengths, routed, squash


def test_squashing_keeps_directions_and_shortens_below_one(rng):
    s = 100 * torch.randn(50, 8, generator=rng)
    v = squash(s)
    square = s.square().sum(1)
    torch.testing.assert_close(v.norm(dim=1), square / (1 + square))
    torch.testing.assert_close(torch.cosine_similarity(v, s), torch.ones(50))
    zero = torch.zeros(1, 8, requires_grad=True)
    lengths(squash(zero)).sum().backward()
    assert torch.isfinite(zero.grad).all()


def test_one_routing_is_the_uniform_mean(rng):
    votes = torch.randn(2, 6, 3, 4, generator=rng)
    torch.testing.assert_close(routed(votes, 1), squash(votes.sum(1) / 3))


def test_agreeing_votes_win_and_order_does_not_matter(rng):
    votes = 0.1 * torch.randn(1, 20, 2, 4, generator=rng)
    votes[:, :, 0] += torch.tensor([1.0, 0, 0, 0])  # all predict one thing of the first capsule, nothing of the second
    grown = [float(lengths(routed(votes, k))[0, 0]) for k in (1, 3, 5)]
    assert grown == sorted(grown)
    assert float(lengths(routed(votes, 5))[0, 1]) < 0.1 < grown[-1]
    order = torch.randperm(20, generator=rng)
    torch.testing.assert_close(routed(votes[:, order], 3), routed(votes, 3))


def test_the_margin_is_zero_within_it_and_known_outside():
    inside = torch.tensor([[0.95, 0.05, 0.1]])
    assert margin(inside, torch.tensor([0])) == 0
    out = torch.tensor([[0.4, 0.6, 0.0]])
    assert margin(out, torch.tensor([0])) == pytest.approx(0.5**2 + 0.5 * 0.5**2)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 12, 12), (1, 28, 28), (3, 32, 32)])
def test_the_cnn_has_as_many_parameters(workbench, shape):
    spec = DataSpec("d", shape, (-1.0, 1.0), 10, 100, 100)
    ours, cnn = (
        sum(p.numel() for p in workbench.build(CapsNet, spec, network=network).parameters())
        for network in ("capsule", "cnn")
    )
    assert cnn == pytest.approx(ours, rel=0.01)  # one unit of its dense layer is some thousandth


def test_only_the_capsule_of_the_class_is_drawn_from(workbench, image8_spec, rng):
    model = workbench.build(CapsNet, image8_spec)
    v = torch.randn(1, 10, 16, generator=rng)
    other = v.clone()
    other[:, 3] += 1
    y = torch.tensor([5])
    assert torch.equal(model.decode(v, y), model.decode(other, y))
    assert not torch.equal(model.decode(v, torch.tensor([3])), model.decode(other, torch.tensor([3])))


def test_what_has_no_capsules_says_so(workbench, image8_spec, vector_spec):
    model = workbench.build(CapsNet, image8_spec, network="cnn")
    with pytest.raises(NotApplicable, match="no capsules"):
        model.reconstruct(torch.zeros(1, 1, 8, 8))
    with pytest.raises(NotApplicable):
        workbench.build(CapsNet, vector_spec)
    with pytest.raises(NotApplicable, match="6 or more"):
        workbench.build(CapsNet, DataSpec("tiny", (1, 4, 4), (-1.0, 1.0), 10))


def test_a_capsule_judge_plays_dcgans_game(workbench, image8_spec):
    model = workbench.build(DCGAN, image8_spec, discriminator="capsules", width=8)
    batch = workbench.batch(image8_spec)
    loss = model.discriminator_loss(batch)
    assert torch.isfinite(loss)
    assert workbench.moved(model, "discriminator") == {"discriminator"}
    assert model.representation(batch.x).shape == (16, 32)
