"""What tests of single models share: building one, and seeing whom a player's turn moves."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ganbench.data import Batch, DataSpec, Split
from ganbench.engine.turns import Batches, Turn
from ganbench.model import Model


class Workbench:
    """Builds models from seed 0 and takes single turns with them."""

    def build(self, cls: type[Model], spec: DataSpec, **overrides: Any) -> Any:
        model = cls(cls.configure(spec, **overrides))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model.build(spec)
        return model

    def batch(self, spec: DataSpec, n: int = 16, seed: int = 0) -> Batch:
        rng = torch.Generator().manual_seed(seed)
        x = 2 * torch.rand(n, *spec.event_shape, generator=rng) - 1
        return Batch(x, rng, torch.randint(spec.n_classes or 1, (n,), generator=rng))

    def moved(self, model: Model, player: str) -> set[str]:
        """Names of the top-level parts whose parameters one turn of this player changes."""
        rng = torch.Generator().manual_seed(0)
        x = 2 * torch.rand(256, *model.spec.event_shape, generator=rng) - 1
        data = Split(x, torch.randint(model.spec.n_classes or 1, (256,), generator=rng))
        (chosen,) = [p for p in model.players() if p.name == player]
        turn = Turn(chosen, Batches(model, data, rng))
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        turn()
        return {name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(before[name], p)}


@pytest.fixture
def workbench() -> Workbench:
    return Workbench()
