"""Players that play for a share of the budget, and what runs once after the last turn."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ganbench.data import Batch, DataSpec, Split
from ganbench.engine.loop import train
from ganbench.model import Budget, Model, Player


class Phases(Model):
    """Two players that share the budget, and a record of who played."""

    def build(self, spec: DataSpec) -> None:
        self.spec, self.played, self.finished = spec, "", 0
        self.first, self.second = nn.Linear(2, 1), nn.Linear(2, 1)

    def players(self) -> list[Player]:
        def sgd(parameters: list[Tensor]) -> torch.optim.Optimizer:
            return torch.optim.SGD(parameters, lr=0.1)

        def loss(name: str) -> Tensor:
            self.played += name
            return getattr(self, "first" if name == "a" else "second").weight.square().sum()

        return [
            Player("a", self.first, lambda _: loss("a"), sgd, span=(0.0, 0.4)),
            Player("b", self.second, lambda _: loss("b"), sgd, span=(0.4, 1.0)),
        ]

    def finish(self, data: Split, rng: torch.Generator) -> None:
        self.finished += len(data)
        assert not torch.is_grad_enabled()
        assert not self.training


@pytest.mark.parametrize("budget", [Budget(iterations=10), Budget(examples=640)])
def test_players_take_turns_within_their_span_only(budget: Budget, rng: torch.Generator) -> None:
    model = Phases(Phases.Config(batch_size=64))
    model.build(DataSpec("v", (2,)))
    for p in model.parameters():  # biases get no gradient from these losses
        p.requires_grad_(p.ndim == 2)
    training = train(model, Split(torch.randn(128, 2)), budget, rng)
    assert model.played == "aaaabbbbbb"
    assert training.history["a"][0] == [0, 1, 2, 3]
    assert training.history["b"][0] == [4, 5, 6, 7, 8, 9]
    assert training.examples == 640
    assert model.finished == 128


def test_an_iteration_without_turns_records_no_loss(rng: torch.Generator) -> None:
    class Seldom(Model):
        def build(self, spec: DataSpec) -> None:
            self.spec, self.net = spec, nn.Linear(2, 1)

        def players(self) -> list[Player]:
            def loss(batch: Batch) -> Tensor:
                return self.net(batch.x).square().mean()

            return [Player("p", self.net, loss, torch.optim.Adam, updates=lambda t: int(t % 3 == 0))]

    model = Seldom()
    model.build(DataSpec("v", (2,)))
    training = train(model, Split(torch.randn(128, 2)), Budget(iterations=7), rng)
    assert training.history["p"][0] == [0, 3, 6]
