"""CycleGAN: its losses written out, its pools' state, and what its cycle cannot tell."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.conditional.cyclegan import CycleGAN
from ganbench.data import Batch, Condition, DataSpec
from ganbench.errors import BadConfig, NotApplicable


def spec(source: tuple[int, ...] = (1, 8, 8), kind: Any = "image") -> DataSpec:
    return DataSpec("unpaired", (1, 8, 8), (-1.0, 1.0), cond=Condition(kind, source, paired=False))


def build(on: DataSpec | None = None, **config: Any) -> CycleGAN:
    torch.manual_seed(0)
    on = on or spec()
    model = CycleGAN(CycleGAN.configure(on, width=4, blocks=1, **config))
    model.build(on)
    return model


def batch(source: int = 1, n: int = 6) -> Batch:
    rng = torch.Generator().manual_seed(1)
    x, cond = (torch.rand(n, c, 8, 8, generator=rng) * 2 - 1 for c in (1, source))
    return Batch(x, rng, cond=cond)


def square(logits: Tensor, goal: float) -> Tensor:
    return (logits - goal).pow(2).mean()


def gap(a: Tensor, b: Tensor) -> Tensor:
    return torch.nn.functional.l1_loss(a, b)


@pytest.mark.parametrize("source", [1, 3])
def test_its_losses_are_the_papers(source: int) -> None:
    """With lambda 8 and half of it for the identity, which needs as many channels on either side."""
    model, b = build(spec((source, 8, 8)), cycle_weight=8, identity_weight=0.5, pool=0), batch(source)
    x, y, g, f = b.cond, b.x, model.forth, model.back
    loss = square(model.target_judge(g(x)), 1) + square(model.source_judge(f(y)), 1)
    loss = loss + 8 * (gap(f(g(x)), x) + gap(g(f(y)), y))
    if source == 1:
        loss = loss + 4 * (gap(g(y), y) + gap(f(x), x))
    judges = square(model.target_judge(y), 1) + square(model.target_judge(g(x)), 0)
    judges = judges + square(model.source_judge(x), 1) + square(model.source_judge(f(y)), 0)
    torch.testing.assert_close(model.generators_loss(b), loss)
    torch.testing.assert_close(model.discriminators_loss(b), judges / 2)


def test_without_lambda_it_is_two_gans_that_know_nothing_of_each_other() -> None:
    model, b = build(cycle_weight=0), batch()
    loss = square(model.target_judge(model.forth(b.cond)), 1) + square(model.source_judge(model.back(b.x)), 1)
    torch.testing.assert_close(model.generators_loss(b), loss)


def test_generators_move_before_discriminators() -> None:
    assert [p.name for p in build().players()] == ["generators", "discriminators"]


class Permuted(nn.Module):
    """Each of four flat grey levels becomes the next one, or with step -1 the one before."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        return ((x * 2 + self.step) % 4) / 2


def test_a_permutation_and_its_inverse_have_no_cycle_loss_and_translate_wrongly() -> None:
    model, levels = build(), (torch.arange(4.0) / 2).view(4, 1, 1, 1).expand(4, 1, 8, 8)
    model.forth, model.back = Permuted(1), Permuted(-1)
    made, found = model.translate(levels, torch.Generator()), model.translate_back(levels, torch.Generator())
    assert model.cycle_loss(levels, levels, made, found) == 0
    assert (made != levels).all()  # the hidden map is the identity
    assert torch.equal(made.flatten(1)[:, 0].sort().values, levels.flatten(1)[:, 0])  # and the targets' law is met
    assert model.identity_loss(levels, levels) > 0  # the one term that tells


def test_the_identity_term_is_of_each_generator_on_its_own_targets() -> None:
    model, b = build(), batch()
    model.forth, model.back = nn.Identity(), nn.Identity()
    assert model.identity_loss(b.cond, b.x) == 0
    model.forth = Permuted(1)
    y, x = torch.zeros(2, 1, 8, 8), torch.ones(2, 1, 8, 8)
    assert model.identity_loss(x, y) == gap(model.forth(y), y) == 0.5


def test_the_pools_are_part_of_the_state() -> None:
    model = build()
    model.discriminators_loss(batch())
    fresh = build()
    fresh.load_state_dict(model.state_dict())
    assert fresh.targets.count == fresh.sources.count == 6
    assert torch.equal(fresh.targets.images, model.targets.images)
    assert model.targets.images[:6].ne(0).any()


def test_translations_do_not_depend_on_their_batch_and_go_both_ways() -> None:
    model, b, rng = build(spec((3, 8, 8))).eval(), batch(3), torch.Generator()
    whole = model.translate(b.cond, rng)
    assert whole.shape == b.x.shape
    assert model.translate_back(b.x, rng).shape == b.cond.shape
    alone = torch.cat([model.translate(row[None], rng) for row in b.cond])
    torch.testing.assert_close(alone, whole, rtol=1e-4, atol=1e-5)


def test_what_it_cannot_take_is_refused_before_training() -> None:
    for on in (spec((1, 4, 4)), spec((3,), "attributes"), DataSpec("plain", (1, 8, 8), (-1.0, 1.0))):
        with pytest.raises(NotApplicable, match="images of the same sides"):
            build(on)
    with pytest.raises(BadConfig, match="hold a batch of 64"):
        build(batch_size=64)
