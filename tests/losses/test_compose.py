"""Which parts go together: every refusal names its reason, everything else is accepted."""

from __future__ import annotations

import pytest
import torch

from ganbench.errors import BadConfig, UnknownName
from ganbench.losses.compose import compose, parse
from ganbench.losses.objectives import OBJECTIVES
from ganbench.losses.parts import PENALTIES, STABILISERS

close = torch.testing.assert_close


def test_values_are_read_or_defaulted() -> None:
    for kind, text, known, name, value in (
        ("stabiliser", "pack:3", STABILISERS, "pack", 3),
        ("stabiliser", " pack", STABILISERS, "pack", 2),
        ("penalty", "gp:0.1", PENALTIES, "gp", 0.1),
    ):
        part = parse(kind, text, known)
        assert (part.name, part.value) == (name, value)


@pytest.mark.parametrize("text", ["pack:0", "pack:2.5", "pack:x", "pack:", "label_smoothing:0.7", "pack:nan"])
def test_values_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(BadConfig, match=text.split(":")[0]):
        parse("stabiliser", text, STABILISERS)


def test_unknown_parts_get_a_near_match() -> None:
    with pytest.raises(UnknownName, match="hinge"):
        compose("hing", "none", (), 64)
    with pytest.raises(UnknownName, match="dragan"):
        compose("hinge", "dragon:1", (), 64)
    with pytest.raises(UnknownName, match="minibatch_disc"):
        compose("hinge", "none", ("minibatch_discrimination",), 64)


@pytest.mark.parametrize(
    ("objective", "penalty", "stabilisers", "reason"),
    [
        ("wasserstein", "none", (), "Lipschitz"),
        ("wasserstein", "r1", (), "Lipschitz"),
        ("wasserstein", "gp", ("minibatch_disc",), "own gradient"),
        ("non_saturating", "r1", ("batch_norm",), "own gradient"),
        ("wasserstein", "gp", ("label_smoothing",), "no|none"),
        ("hinge", "none", ("two_sided_label_smoothing",), "cross-entropy"),
        ("non_saturating", "none", ("label_smoothing", "two_sided_label_smoothing"), "alternatives"),
        ("non_saturating", "none", ("pack:3",), "multiple of the pack size 3"),
        ("non_saturating", "none", ("pack:64", "minibatch_disc"), "at least two"),
        ("non_saturating", "none", ("batch_norm", "virtual_bn"), "both norm the generator"),
        ("wasserstein", "clip", ("spectral_norm",), "both bound"),
        ("minimax", "none", ("unroll", "feature_matching"), "replaces"),
        ("minimax", "gp", ("unroll",), "third"),
        ("minimax", "none", ("unroll", "gradient_clip"), "shorten"),
        ("minimax", "none", ("pack", "pack:4"), "twice"),
        ("minimax", "none", ("ema:1",), "from 0 to 0.999999"),
    ],
)
def test_wrong_combinations_are_refused_with_the_reason(
    objective: str, penalty: str, stabilisers: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(BadConfig, match=reason):
        compose(objective, penalty, stabilisers, 64)


def test_unrolling_needs_adam() -> None:
    compose("minimax", "none", ("unroll",), 64, "adam")
    with pytest.raises(BadConfig, match="rmsprop"):
        compose("minimax", "none", ("unroll",), 64, "rmsprop")


def test_sensible_combinations_are_accepted() -> None:
    game = compose("wasserstein", "gp:0.1", ("pack:4", "virtual_bn", "ema", "historical_avg"), 64)
    assert (game.objective.name, game.pack) == ("wasserstein", 4)
    parts = {p.name: p.value for p in game.parts}
    assert parts == {"gp": 0.1, "pack": 4, "virtual_bn": 64, "ema": 0.999, "historical_avg": 1e-3}


def test_a_game_does_not_hang_on_the_order_of_its_list() -> None:
    names = ("spectral_norm", "minibatch_disc", "ema", "pack")
    one, other = (compose("hinge", "none", listed, 64) for listed in (names, names[::-1]))
    assert [p.name for p in one.parts] == [p.name for p in other.parts] == ["pack", "minibatch_disc", *names[:1], "ema"]


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_players_pull_logits_apart_and_up(objective) -> None:  # type: ignore[no-untyped-def]
    """On equal logits the discriminator raises real logits and lowers fake ones; the generator raises fake ones."""
    real, fake = (torch.full((4,), 0.5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    up, down = torch.autograd.grad(objective.discriminator(real, fake), [real, fake])
    assert (up < 0).all()
    assert (down > 0).all()
    (lift,) = torch.autograd.grad(objective.generator(real, fake), fake)
    assert (lift < 0).all()


def test_zero_sum_objectives_are_zero_sum() -> None:
    # On both sides of every margin, where a hinge and its linear generator part.
    rng = torch.Generator().manual_seed(0)
    real, fake = (3 * torch.randn(6, generator=rng, dtype=torch.float64) for _ in range(2))
    fake.requires_grad_()
    for objective in OBJECTIVES.values():
        (d,) = torch.autograd.grad(objective.discriminator(real, fake), fake)
        (g,) = torch.autograd.grad(objective.generator(real, fake), fake)
        assert torch.allclose(g, -d) == objective.zero_sum
