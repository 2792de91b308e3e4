"""The simulator that made the clips, told which clip it is: what a perfect predictor reaches.

Not a model: a control row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.model import Budget, Model, NotApplicable, Split, register


@register("control_simulator", family="control", gives=("predict",), needs=("simulator",), events=("clip",))
class TheSimulator(Model):
    """Goes on where the frames end."""

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        if data.simulator is None:
            raise NotApplicable(f"{self.spec.name} was not made by a simulator")
        self.simulator = data.simulator

    def predict(self, frames: Tensor, k: int, rng: torch.Generator) -> Tensor:
        return self.simulator.after(frames, k)
