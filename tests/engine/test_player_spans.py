"""A player takes its turns in its own share of the budget, and a schedule of no turns is no turn."""

from functools import partial

import torch
from torch import nn

from ganbench.data import Split
from ganbench.engine.loop import train
from ganbench.model import Budget, Model, Player


class TwoPhases(Model):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.seldom = nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)
        self.turns = {"first": 0, "second": 0, "seldom": 0}

    def players(self):
        sgd = partial(torch.optim.SGD, lr=0.1)

        def loss(name, module):
            def count(batch):
                self.turns[name] += 1
                return module(batch.x).square().mean()

            return count

        return [
            Player("seldom", self.seldom, loss("seldom", self.seldom), sgd, updates=lambda t: int(t % 5 == 4)),
            Player("first", self.first, loss("first", self.first), sgd, span=(0, 0.3)),
            Player("second", self.second, loss("second", self.second), sgd, span=(0.3, 1)),
        ]


def test_phases_share_the_budget_and_leave_out_turns_that_are_not_taken(rng):
    model = TwoPhases()
    training = train(model, Split(torch.randn(64, 1, generator=rng)), Budget(iterations=20), rng)
    assert model.turns == {"first": 6, "second": 14, "seldom": 4}
    assert training.iterations == 20
    assert training.examples == 64 * 24
    assert training.history["seldom"][0] == [4, 9, 14, 19]
    assert training.history["second"][0] == list(range(6, 20))
