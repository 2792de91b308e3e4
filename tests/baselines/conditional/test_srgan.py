"""SRGAN: its losses written out, its two phases, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from baselines.conditional.srgan import SRGAN
from ganbench.data import Batch, Condition, DataSpec, Split
from ganbench.engine.loop import train
from ganbench.errors import NotApplicable
from ganbench.model import Budget


def spec(source: tuple[int, ...] = (1, 4, 4), target: tuple[int, ...] = (1, 8, 8), paired: bool = True) -> DataSpec:
    return DataSpec("sizes", target, (-1.0, 1.0), cond=Condition("image", source, paired))


def build(on: DataSpec | None = None, **config: Any) -> SRGAN:
    torch.manual_seed(0)
    on = on or spec()
    model = SRGAN(SRGAN.configure(on, width=4, blocks=1, **config))
    model.build(on)
    return model


def data(n: int = 32) -> Split:
    x = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return Split(x, cond=F.avg_pool2d(x, 2))


def batch() -> Batch:
    split = data(8)
    return Batch(split.x, torch.Generator(), cond=split.cond)


def test_its_losses_are_the_papers() -> None:
    model, b = build(adversarial_weight=0.25), batch()
    fake = model.generator(b.cond)
    real, made = torch.sigmoid(model.discriminator(b.x)), torch.sigmoid(model.discriminator(fake))
    torch.testing.assert_close(model.content_loss(b), F.mse_loss(fake, b.x))
    torch.testing.assert_close(model.generator_loss(b), F.mse_loss(fake, b.x) - 0.25 * made.log().mean())
    torch.testing.assert_close(model.discriminator_loss(b), -real.log().mean() - (1 - made).log().mean())


def state(model: SRGAN, network: str) -> list[torch.Tensor]:
    return [p.detach().clone() for p in getattr(model, network).parameters()]


def test_its_first_phase_moves_the_generator_alone() -> None:
    """Of three iterations the shares are 0, 1/3 and 2/3: the last is the game's where half of the budget pretrains."""
    for share, plays in ((0.75, {"pretraining"}), (0.5, {"pretraining", "discriminator", "generator"})):
        model = build(pretraining=share, batch_size=8)
        before = {n: state(model, n) for n in ("generator", "discriminator")}
        out = train(model, data(), Budget(iterations=3), torch.Generator().manual_seed(0))
        assert out.history.keys() - {"mse"} == plays
        moved = {n: any(bool((a != b).any()) for a, b in zip(before[n], state(model, n), strict=True)) for n in before}
        assert moved == {"generator": True, "discriminator": "discriminator" in plays}
        assert [out.history["pretraining"][0]] == [[0, 1, 2] if share == 0.75 else [0, 1]]


def test_without_an_adversary_squared_error_is_all() -> None:
    model, game = build(adversarial_weight=0), build().players()
    first, second = model.players()
    assert all(p.loss == model.content_loss and p.module is model.generator for p in (first, second))
    assert [(p.span, p.schedule is None) for p in (first, second)] == [(p.span, p.schedule is None) for p in game[::2]]


def test_the_rate_falls_to_a_tenth_half_way_through_the_game() -> None:
    model = build(pretraining=0.5)
    assert [model.late(share) for share in (0.5, 0.74, 0.75, 0.99)] == [1, 1, 0.1, 0.1]
    assert model.players()[0].schedule is None


@pytest.mark.parametrize(
    ("source", "target"),
    [((1, 4, 4), (1, 8, 8)), ((3, 8, 8), (3, 32, 32)), ((1, 7, 7), (1, 28, 28)), ((1, 3, 5), (1, 6, 10))],
)
def test_it_makes_images_twice_and_four_times_larger(source: tuple[int, ...], target: tuple[int, ...]) -> None:
    model = build(spec(source, target)).eval()
    made = model.translate(torch.rand(2, *source) * 2 - 1, torch.Generator())
    assert made.shape == (2, *target)
    assert made.abs().max() <= 1


def test_what_it_cannot_take_is_refused_before_training() -> None:
    with pytest.raises(NotApplicable, match="learns from pairs"):
        build(spec(paired=False))
    with pytest.raises(NotApplicable, match="learns from pairs"):
        build(DataSpec("plain", (1, 8, 8), (-1.0, 1.0)))
    for source, target in [
        ((1, 4, 2), (1, 8, 8)),
        ((3, 4, 4), (1, 8, 8)),
        ((1, 3, 3), (1, 8, 8)),
        ((1, 9, 9), (1, 8, 8)),
    ]:
        with pytest.raises(NotApplicable, match="as many times larger"):
            build(spec(source, target))
    for source, target in [((1, 8, 8), (1, 8, 8)), ((1, 4, 4), (1, 12, 12))]:
        with pytest.raises(NotApplicable, match=r"2, 4, 8"):
            build(spec(source, target))
