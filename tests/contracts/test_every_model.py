"""Every registered model keeps the contract: it builds, trains, samples, repeats, and can do what it says it can.

A few iterations on tiny random data say nothing about quality; that is what the benchmark is for.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest
import torch
from tiny import ENTRIES, SPECS, K, build, cases, data, samples, takes

from ganbench import engine, seeding
from ganbench.engine import Batches, Turn, train
from ganbench.errors import NotApplicable
from ganbench.model import Budget, Model
from ganbench.report.views import draw_views

ITERATIONS = 2
JUDGES = {"critic", "discriminator", "discriminators", "joint discriminator"}


@pytest.fixture(scope="module", params=cases())  # of the module, so that all facts of one model are tested in a row
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


@lru_cache(maxsize=2)
def trained(name: str, kind: str) -> Model:
    """The model after a few iterations."""
    model = build(name, kind)
    rng = seeding.stream("training", name)
    with seeding.global_stream("training", name):
        try:
            out = train(model, data(kind, ENTRIES[name]), Budget(iterations=ITERATIONS), rng)
        except NotApplicable as reason:  # what only the data can tell: negative entries, values that are not counts
            assert hasattr(model, "fit"), "a model trained by gradients refuses data when it is built"
            pytest.skip(str(reason))
    if not hasattr(model, "fit"):
        assert out.iterations == ITERATIONS
        assert {p.name for p in model.players()} & set(out.history)
    return model


def test_it_trains_and_samples_events_of_the_data(case: tuple[str, str]) -> None:
    name, kind = case
    model, spec = trained(name, kind), SPECS[kind]
    assert not model.training
    if "sample" not in model.gives:
        return
    for n in (1, 5):
        x = samples(model, n, 0)
        assert x.shape == (n, *spec.event_shape)
        assert x.dtype == torch.float32
        assert not x.requires_grad
        assert torch.isfinite(x).all()
        if spec.domain:
            assert spec.domain[0] - 1e-3 <= float(x.min())
            assert float(x.max()) <= spec.domain[1] + 1e-3


def test_samples_depend_on_the_rng_they_are_given_and_on_nothing_else(case: tuple[str, str]) -> None:
    name, kind = case
    model = trained(name, kind)
    if "sample" not in model.gives:
        return
    before = torch.get_rng_state()
    first = samples(model, 6, 1)
    assert torch.equal(torch.get_rng_state(), before), "sample drew from torch's global generator"
    torch.testing.assert_close(samples(model, 6, 1), first, rtol=0, atol=0)
    if name != "control_collapse":  # its one mode is one image
        assert not torch.equal(samples(model, 6, 2), first)


def test_the_same_seed_trains_the_same_model(case: tuple[str, str]) -> None:
    name, kind = case
    if kind != next(c.values[0][1] for c in cases() if c.values[0][0] == name):
        return  # once for each model
    model = trained(name, kind)
    other = trained.__wrapped__(name, kind)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(other.state_dict()[key], value, rtol=0, atol=0, equal_nan=True)


def test_a_training_that_was_cut_off_goes_on_with_the_same_bits(
    case: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, kind = case
    if kind != next(c.values[0][1] for c in cases() if c.values[0][0] == name) or hasattr(trained(name, kind), "fit"):
        return  # once for each model that is trained by turns
    monkeypatch.setattr(engine, "CHUNK", 1)
    monkeypatch.setattr(engine, "SAVE_EVERY", 0.0)

    def cut_after_a_save(iteration: int, share: float) -> None:
        if iteration > 1:
            raise InterruptedError

    path, entry, budget = tmp_path / "checkpoint", ENTRIES[name], Budget(iterations=ITERATIONS)
    with seeding.global_stream("training", name), pytest.raises(InterruptedError):
        train(
            build(name, kind),
            data(kind, entry),
            budget,
            seeding.stream("training", name),
            on_progress=cut_after_a_save,
            checkpoint=path,
        )
    model = build(name, kind)
    with seeding.global_stream("another"):
        train(model, data(kind, entry), budget, seeding.stream("another"), checkpoint=path)
    for key, value in trained(name, kind).state_dict().items():
        torch.testing.assert_close(model.state_dict()[key], value, rtol=0, atol=0, equal_nan=True)


def test_weights_survive_a_round_trip(case: tuple[str, str]) -> None:
    name, kind = case
    model = trained(name, kind)
    if model.family == "control":  # what they remember is data, not weights
        return
    state = {k: v.clone() for k, v in model.state_dict().items()}
    fresh = build(name, kind).eval()
    fresh.load_state_dict(state)
    if "sample" in model.gives:
        torch.testing.assert_close(samples(fresh, 4, 3), samples(model, 4, 3), rtol=0, atol=0)


def test_each_player_moves_its_own_parameters_and_no_others(case: tuple[str, str]) -> None:
    name, kind = case
    model = build(name, kind)
    if hasattr(model, "fit"):
        return
    model.train()
    rng = seeding.stream("training", name)
    batches = Batches(model, data(kind, ENTRIES[name]), rng)
    assert model.players(), "a model without `fit` has players"
    moved_at_all: set[str] = set()
    for player in model.players():
        own = {id(p) for p in player.module.parameters()}
        assert own, f"{player.name} has no parameters"
        before = {k: p.detach().clone() for k, p in model.named_parameters()}
        with seeding.global_stream("training", name):
            loss = Turn(player, batches)()
        assert loss.shape == ()
        assert torch.isfinite(loss)
        moved = {k for k, p in model.named_parameters() if not torch.equal(p.detach(), before[k])}
        strangers = {k for k, p in model.named_parameters() if k in moved and id(p) not in own}
        assert not strangers or player.after is not None, f"{player.name} moved {sorted(strangers)}"
        moved_at_all |= moved
    assert moved_at_all, "no player moved anything"


def test_a_judges_turn_keeps_no_graph_of_the_other_players(case: tuple[str, str]) -> None:
    name, kind = case
    model = build(name, kind)
    if hasattr(model, "fit"):
        return
    model.train()
    batches = Batches(model, data(kind, ENTRIES[name]), seeding.stream("training", name))
    for player in model.players():
        if player.name not in JUDGES:
            continue
        own = {id(p) for p in player.module.parameters()}
        others = {k: p for k, p in model.named_parameters() if p.requires_grad and id(p) not in own}
        with seeding.global_stream("training", name):
            loss = player.loss(batches.gather(batches.draw()))
        gradients = torch.autograd.grad(loss, list(others.values()), allow_unused=True) if others else ()
        reached = [k for k, g in zip(others, gradients, strict=True) if g is not None]
        assert not reached, f"{player.name}: what it judges is not detached from {reached}"


def test_it_can_do_what_it_says(case: tuple[str, str]) -> None:
    name, kind = case
    model, spec = trained(name, kind), SPECS[kind]
    rng = torch.Generator().manual_seed(5)
    split = data(kind, ENTRIES[name])
    x = split.x[:6]
    known = torch.rand(spec.event_shape, generator=rng) < 0.5
    calls = {
        "encode": lambda: model.encode(x),
        "from_codes": lambda: model.from_codes(model.encode(x)),
        "reconstruct": lambda: model.reconstruct(x),
        "classify": lambda: model.classify(x),
        "log_prob": lambda: model.log_prob(x, rng),
        "features": lambda: model.features(x),
        "inpaint": lambda: model.inpaint(x, known, rng),
        "cluster": lambda: model.cluster(x),
        "tangents": lambda: model.tangents(x),
        "vary": lambda: model.vary(6, rng).transpose(0, 1),
        "translate": lambda: model.translate(split.cond[:6], rng),  # type: ignore[index]
    }
    shapes = {
        "from_codes": (6, *spec.event_shape),
        "reconstruct": (6, *spec.event_shape),
        "classify": (6, K),
        "log_prob": (6,),
        "inpaint": (6, *spec.event_shape),
        "cluster": (6,),
        "translate": (6, *spec.event_shape),
    }
    assert set(model.gives) <= {"sample", *calls}, "gives names an unknown capability"
    for capability, call in calls.items():
        if capability not in model.gives:
            assert getattr(type(model), capability) is getattr(Model, capability) or capability == "features", (
                f"{capability} is defined and not declared in gives"
            )
            continue
        try:
            with torch.no_grad():
                out = call()
        except NotApplicable:  # not on this kind of event
            continue
        assert len(out) == 6
        assert tuple(out.shape) == shapes.get(capability, tuple(out.shape))
        assert out.ndim == 2 or capability not in ("encode", "features"), f"{capability} must be (B, F)"
        if capability == "cluster":
            assert out.dtype == torch.int64
        else:
            assert torch.isfinite(out).all()
        if capability == "from_codes" and "reconstruct" in model.gives:
            torch.testing.assert_close(out, model.reconstruct(x), rtol=1e-3, atol=1e-4)
        if capability == "tangents":
            assert out.shape[2:] == x.shape[1:]
        if capability == "inpaint":
            torch.testing.assert_close(out[:, known], x[:, known])


ON_IMAGES = [name for name, e in ENTRIES.items() if "image" in e.meta.get("events", ("vector", "image"))]


@pytest.mark.parametrize("name", ON_IMAGES)
def test_its_pictures_can_be_drawn(name: str, tmp_path: Path) -> None:
    """A run draws them for every model on images; one that cannot be drawn would fail its job."""
    kind = next(k for k in SPECS if takes(ENTRIES[name], k) and SPECS[k].is_image)
    x = data(kind, ENTRIES[name]).x
    drawn = draw_views(tmp_path, trained(name, kind), x, torch.Generator().manual_seed(0))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f"{view}.png" for view in drawn)
