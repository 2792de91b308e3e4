"""The training loop: who moves when, what it costs, how it stops, what it remembers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganbench import seeding
from ganbench.data import Batch, DataSpec, Epochs, Split
from ganbench.engine.loop import POINTS, train
from ganbench.engine.turns import make_optimizer
from ganbench.errors import BadConfig, Diverged
from ganbench.model import Budget, Config, Model, Player
from ganbench.registry import MODELS

SPEC = DataSpec("line", (1,), n_train=64)


class Quadratic(Model):
    """Two players on scalars: `a` is pulled to the data mean, `b` to `a`; their losses see both."""

    Config = partial(Config, batch_size=16)  # type: ignore[assignment]

    def __init__(self, updates: int = 1, lr: float = 0.1) -> None:
        super().__init__(Config(batch_size=16))
        self.updates, self.lr, self.turns = updates, lr, []

    def build(self, spec: DataSpec) -> None:
        self.a, self.b = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.a.weight)
        nn.init.zeros_(self.b.weight)

    def players(self) -> list[Player]:
        sgd = partial(torch.optim.SGD, lr=self.lr)
        return [
            Player("a", self.a, self.loss_a, sgd, updates=self.updates, after=lambda: self.turns.append("a")),
            Player("b", self.b, self.loss_b, sgd, after=lambda: self.turns.append("b")),
        ]

    def loss_a(self, batch: Batch) -> Tensor:
        return (self.a.weight - batch.x.mean()).square().sum() / 2 + 0 * self.b.weight.sum()

    def loss_b(self, batch: Batch) -> Tensor:
        return (self.b.weight - self.a.weight).square().sum() / 2


def run(model: Model, budget: Budget, seed: int = 0, x: Tensor | None = None):
    model.build(SPEC)
    data = Split(torch.ones(64, 1) if x is None else x)
    return train(model, data, budget, torch.Generator().manual_seed(seed))


def test_players_take_turns_in_order_and_as_often_as_they_say() -> None:
    model = Quadratic(updates=3)
    training = run(model, Budget(iterations=2))
    assert model.turns == ["a", "a", "a", "b"] * 2
    assert training.iterations == 2
    assert training.examples == 2 * 4 * 16


def test_gradient_steps_follow_the_closed_form_of_each_player() -> None:
    model = Quadratic(lr=0.1)
    run(model, Budget(iterations=5))
    a = b = 0.0
    for _ in range(5):  # a moves first, then b sees the new a; neither moves on the other's turn
        a += 0.1 * (1 - a)
        b += 0.1 * (a - b)
    torch.testing.assert_close(model.a.weight.item(), a, rtol=1e-6, atol=0)
    torch.testing.assert_close(model.b.weight.item(), b, rtol=1e-6, atol=0)


def test_budgets_by_examples_and_seconds_stop_where_they_should() -> None:
    assert run(Quadratic(), Budget(examples=320)).iterations == 10  # two turns of 16 each
    training = run(Quadratic(), Budget(seconds=0.2))
    assert training.iterations > 10
    assert 0.2 <= training.seconds < 5
    assert run(Quadratic(), Budget(iterations=0)).iterations == 0


@pytest.mark.parametrize("wrong", [{}, {"iterations": 1, "seconds": 1.0}, {"iterations": -1}])
def test_a_budget_is_exactly_one_number(wrong: dict) -> None:
    with pytest.raises(BadConfig, match="exactly one"):
        Budget(**wrong)


def test_a_non_finite_loss_stops_with_its_iteration_and_keeps_the_history() -> None:
    class Breaks(Quadratic):
        calls = 0

        def loss_a(self, batch: Batch) -> Tensor:
            self.calls += 1
            return super().loss_a(batch) / (0.0 if self.calls == 8 else 1.0)

    with pytest.raises(Diverged, match="a: loss is inf at iteration 7") as caught:
        run(Breaks(), Budget(iterations=1000))
    assert caught.value.iteration == 7
    assert caught.value.training.history["a"][0] == list(range(7))


def test_non_finite_parameters_are_noticed_though_the_loss_is_finite() -> None:
    class Overflows(Quadratic):
        def players(self) -> list[Player]:
            first, second = super().players()
            poison = partial(self.b.weight.data.fill_, float("nan"))
            return [first, Player("b", self.b, self.loss_b, second.optimizer, after=poison)]

        def loss_a(self, batch: Batch) -> Tensor:
            return self.a.weight.sum()

        def loss_b(self, batch: Batch) -> Tensor:
            return torch.nan_to_num(self.b.weight).sum() * 0

    with pytest.raises(Diverged, match="parameters"):
        run(Overflows(), Budget(iterations=3))


def test_history_is_bounded_evenly_spaced_and_the_same_however_often_it_is_read() -> None:
    first, second = (run(Quadratic(), Budget(iterations=3000)).history for _ in range(2))
    steps, values = first["a"]
    assert len(steps) == len(values) <= POINTS
    assert len({b - a for a, b in itertools.pairwise(steps)}) == 1
    assert first == second


def test_same_seed_same_training_and_another_seed_another() -> None:
    x = torch.randn(64, 1, generator=torch.Generator().manual_seed(1))
    ends = []
    for seed in (0, 0, 1):
        model = Quadratic()
        run(model, Budget(iterations=7), seed, x)
        ends.append(model.a.weight.item())
    assert ends[0] == ends[1] != ends[2]


def test_a_model_with_its_own_fit_is_left_to_it() -> None:
    class Mean(Model):
        def build(self, spec: DataSpec) -> None:
            self.register_buffer("mean", torch.zeros(1))

        def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
            self.mean.copy_(data.events().mean(0))

    model = Mean()
    run(model, Budget(iterations=1))
    assert model.mean.item() == 1.0
    assert not model.training


def test_labels_reach_only_models_that_registered_a_need_for_them() -> None:
    seen = []

    class Looks(Quadratic):
        def loss_a(self, batch: Batch) -> Tensor:
            seen.append((batch.y, batch.y_labelled))
            return super().loss_a(batch)

    data = Split(torch.ones(64, 1), torch.arange(64) % 2, torch.tensor([0, 1, 2]))
    for needs in ((), ("y",), ("labels",)):
        model = Looks()
        model.needs = needs  # type: ignore[misc]
        model.build(SPEC)
        train(model, data, Budget(iterations=1), torch.Generator().manual_seed(0))
    assert seen[0] == (None, None)
    assert seen[1][0].shape == (16,)
    assert seen[1][1] is None
    assert seen[2][0] is None
    assert sorted(seen[2][1].tolist()) == [0, 0, 1]  # the three labelled examples, once each


def test_looking_at_a_model_does_not_change_its_training() -> None:
    class Diagnosed(Quadratic):
        def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
            return {"draw": torch.rand((), generator=batch.rng)}

    x = torch.randn(64, 1)
    plain, watched = Quadratic(), Diagnosed()
    run(plain, Budget(iterations=50), 0, x)
    training = run(watched, Budget(iterations=50), 0, x)
    assert plain.a.weight.item() == watched.a.weight.item()
    assert len(training.history["draw"][0]) == 50


def test_diagnostics_see_batch_norm_as_the_losses_do_and_leave_it_as_it_was() -> None:
    class Normed(Quadratic):
        def build(self, spec: DataSpec) -> None:
            super().build(spec)
            self.norm = nn.BatchNorm1d(1, affine=False)

        def loss_a(self, batch: Batch) -> Tensor:
            return super().loss_a(batch) + 0 * self.norm(batch.x).sum()

        def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
            return {"mean": self.norm(batch.x).mean()}

    class Blind(Normed):
        diagnostics = Model.diagnostics

    x = 100 + torch.randn(64, 1)  # running moments start at 0 and 1, and take long to get there
    watched, blind = Normed(), Blind()
    training = run(watched, Budget(iterations=50), 0, x)
    run(blind, Budget(iterations=50), 0, x)
    assert max(map(abs, training.history["mean"][1])) < 1e-3
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert getattr(watched.norm, name).item() == getattr(blind.norm, name).item() != 0
    assert watched.norm.track_running_stats


def test_epochs_visit_every_example_once_and_small_sets_repeat(rng: torch.Generator) -> None:
    batches = Epochs(10, 5, rng)
    assert sorted(torch.cat([next(batches), next(batches)]).tolist()) == list(range(10))
    assert len(next(Epochs(3, 8, rng))) == 8


def test_schedules_scale_the_learning_rate_over_the_budget() -> None:
    model = Quadratic(lr=0.1)
    model.build(SPEC)
    first, second = model.players()
    decaying = Player("a", model.a, model.loss_a, first.optimizer, schedule=lambda share: 1 - share)
    model.players = lambda: [decaying, second]  # type: ignore[method-assign]
    train(model, Split(torch.ones(64, 1)), Budget(iterations=4), torch.Generator().manual_seed(0))
    left = 1.0
    for t in range(4):
        left *= 1 - 0.1 * (1 - t / 4)
    torch.testing.assert_close(model.a.weight.item(), 1 - left, rtol=1e-6, atol=0)


def test_a_models_schedule_holds_for_players_that_bring_none() -> None:
    class Falling(Quadratic):
        schedule = property(lambda self: lambda share: 1 - share)

    model = Falling()
    model.build(SPEC)
    sgd = partial(torch.optim.SGD, lr=0.1)
    model.players = lambda: [  # type: ignore[method-assign]
        Player("a", model.a, model.loss_a, sgd, schedule=lambda share: 1.0),
        Player("b", model.b, lambda batch: model.b.weight.sum(), sgd),
    ]
    train(model, Split(torch.ones(64, 1)), Budget(iterations=4), torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.a.weight.item(), 1 - 0.9**4, rtol=1e-5, atol=0)  # its own: constant
    torch.testing.assert_close(model.b.weight.item(), -0.1 * (1 + 0.75 + 0.5 + 0.25), rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD", "RMSprop", "Adagrad", "Adamax"])
def test_the_fast_form_of_an_optimizer_takes_the_plain_forms_steps(name: str) -> None:
    def steps(fast: bool) -> Tensor:
        w = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
        factory = partial(getattr(torch.optim, name), lr=0.05)
        optimizer = make_optimizer(factory, [w], torch.device("cpu")) if fast else factory([w], foreach=False)
        for _ in range(5):
            optimizer.zero_grad()
            w.pow(4).sum().backward()
            optimizer.step()
        return w.detach()

    torch.testing.assert_close(steps(True), steps(False), rtol=1e-5, atol=1e-6)


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def trained_on_gpu(name: str, capture: bool, change: Callable[[list[Player]], list[Player]] = list) -> Tensor:
    """All parameters after 30 iterations of a model on the plane, whose players `change` may alter: (P,)."""
    model = MODELS.load(name)(MODELS.load(name).Config())
    with seeding.global_stream("init", name):
        model.build(DataSpec("pair", (2,)))
    model.cuda()
    players = change(model.players())
    model.players = lambda: players
    x = torch.randn(512, 2, generator=torch.Generator().manual_seed(0)).cuda()
    train(model, Split(x), Budget(iterations=30), torch.Generator("cuda").manual_seed(0), capture=capture)
    return torch.cat([p.detach().flatten() for p in model.parameters()]).cpu()


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("name", ["gan_ns", "wgan_gp"])
def test_captured_turns_give_the_eager_result(name: str) -> None:
    torch.testing.assert_close(trained_on_gpu(name, False), trained_on_gpu(name, True), rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.RMSprop, torch.optim.SGD, torch.optim.Adagrad])
def test_captured_turns_follow_the_schedule_of_every_optimizer(optimizer: Any) -> None:
    def decayed(players: list[Player]) -> list[Player]:
        return [replace(p, optimizer=partial(optimizer, lr=1e-2), schedule=lambda share: 1 - share) for p in players]

    ends = [trained_on_gpu("gan_ns", capture, decayed) for capture in (True, False)]
    torch.testing.assert_close(*ends, rtol=1e-3, atol=1e-4)


@pytest.mark.gpu
@needs_gpu
def test_a_turn_that_waits_for_the_device_goes_on_eagerly(caplog: pytest.LogCaptureFixture) -> None:
    def reading(players: list[Player]) -> list[Player]:
        first, second = players

        def loss(batch: Batch) -> Tensor:
            value = first.loss(batch)
            value.item()
            return value

        return [replace(first, loss=loss), second]

    broken = trained_on_gpu("gan_ns", True, reading)
    assert "not captured" in caplog.text
    torch.testing.assert_close(broken, trained_on_gpu("gan_ns", False), rtol=1e-3, atol=1e-4)
