"""pix2pix: its losses written out, the law of its L1 term, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from baselines.conditional.pix2pix import Pix2Pix
from ganbench.data import Batch, Condition, DataSpec, Split
from ganbench.engine.loop import train
from ganbench.errors import BadConfig, NotApplicable
from ganbench.model import Budget


def spec(source: tuple[int, ...] = (2, 8, 8), target: tuple[int, ...] = (1, 8, 8), paired: bool = True) -> DataSpec:
    return DataSpec("pairs", target, (-1.0, 1.0), cond=Condition("image", source, paired))


def build(on: DataSpec | None = None, **config: Any) -> Pix2Pix:
    torch.manual_seed(0)
    on = on or spec()
    model = Pix2Pix(Pix2Pix.configure(on, width=4, **config))
    model.build(on)
    return model


def batch(n: int = 6) -> Batch:
    rng = torch.Generator().manual_seed(1)
    x, cond = (torch.rand(n, c, 8, 8, generator=rng) * 2 - 1 for c in (1, 2))
    return Batch(x, rng, cond=cond)


@pytest.mark.parametrize("sees_source", [True, False])
def test_its_losses_are_the_papers(sees_source: bool) -> None:
    model, b = build(dropout=0, l1_weight=7, gan_weight=3, judge_sees_source=sees_source), batch()
    fake = model.generator(b.cond, b.rng)

    def probability(x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(model.discriminator(torch.cat([b.cond, x], 1) if sees_source else x))

    judged = -(probability(b.x).log().mean() + (1 - probability(fake)).log().mean()) / 2
    made = -3 * probability(fake).log().mean() + 7 * F.l1_loss(fake, b.x)
    # Losses are on logits, these on probabilities: the last digits of float32 differ.
    torch.testing.assert_close(model.discriminator_loss(b), judged, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model.generator_loss(b), made, rtol=1e-5, atol=1e-6)


def test_the_judge_sees_the_source_unless_told_otherwise() -> None:
    b = batch()
    other = b.cond.flip(0)
    assert not torch.equal(build().judge(b.x, b.cond), build().judge(b.x, other))
    blind = build(judge_sees_source=False)
    assert torch.equal(blind.judge(b.x, b.cond), blind.judge(b.x, other))


def test_l1_alone_has_no_discriminators_turn() -> None:
    assert [p.name for p in build(gan_weight=0).players()] == ["generator"]
    assert [p.name for p in build(l1_weight=0).players()] == ["discriminator", "generator"]
    with pytest.raises(BadConfig, match="to learn from something; got 0 for both"):
        build(gan_weight=0, l1_weight=0)


@pytest.mark.parametrize("l1_weight", [1e4])
def test_a_heavy_l1_term_gives_the_conditional_median(l1_weight: float) -> None:
    """One source, targets 0.8 three times in four and -0.8 otherwise: median 0.8, mean 0.4; the other way round too."""
    source = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(3)) * 2 - 1
    which = torch.arange(256) % 2
    rare = torch.arange(256) // 2 % 4 == 0
    sign = torch.where(rare, -1.0, 1.0) * torch.where(which == 0, 1.0, -1.0)
    x = (0.8 * sign).view(-1, 1, 1, 1).expand(-1, 1, 8, 8).contiguous()
    on = spec((1, 8, 8))
    model = build(on, l1_weight=l1_weight, lr=5e-3, dropout=0, batch_size=64)
    train(model, Split(x, cond=source[which]), Budget(iterations=150), torch.Generator().manual_seed(0))
    with torch.no_grad():
        made = model.translate(source, torch.Generator().manual_seed(0)).mean((1, 2, 3))
    # The means are 0.4 away; what is left of the way to the medians is far less.
    torch.testing.assert_close(made, torch.tensor([0.8, -0.8]), rtol=0, atol=0.15)


def test_its_noise_stays_at_test_and_comes_from_the_rng() -> None:
    model, b = build().eval(), batch()
    first, again, other = (model.translate(b.cond, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("mode", [True, False])
def test_a_translation_does_not_depend_on_its_batch_nor_on_the_mode(mode: bool) -> None:
    model, b, rng = build(dropout=0), batch(), torch.Generator()
    whole = model.eval().translate(b.cond, rng)
    model.train(mode)
    alone = torch.cat([model.translate(row[None], rng) for row in b.cond])
    torch.testing.assert_close(alone, whole, rtol=1e-4, atol=1e-5)


def test_what_it_cannot_take_is_refused_before_training() -> None:
    with pytest.raises(NotApplicable, match="learns from pairs"):
        build(spec(paired=False))
    with pytest.raises(NotApplicable, match="learns from pairs"):
        build(DataSpec("plain", (1, 8, 8), (-1.0, 1.0)))
    with pytest.raises(NotApplicable, match="sources' sides"):
        build(spec((1, 4, 4)))
    with pytest.raises(NotApplicable, match="24 or more pixels"):
        build(judge_layers=3)
