"""Real digits with a hundred labels, and the error of a classifier after a short training on them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ganbench.data import DataSpec, Split
from ganbench.engine.loop import train
from ganbench.metrics.semi_supervised import balanced_draw
from ganbench.model import Budget, Model


class Digits:
    """1,297 digits of 8x8 pixels to train on, 100 of them labelled, and 500 to test."""

    def __init__(self) -> None:
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        x, y = torch.from_numpy(pixels).float().view(-1, 1, 8, 8) / 8 - 1, torch.from_numpy(labels).long()
        rng = torch.Generator().manual_seed(0)
        order = torch.randperm(len(x), generator=rng)
        self.labelled = Split(x[order[500:]], y[order[500:]])
        self.few = self.labelled.with_labels(balanced_draw(self.labelled.y, 100, rng))
        self.x, self.y = x[order[:500]], y[order[:500]]
        self.spec = DataSpec("digits", (1, 8, 8), (-1.0, 1.0), 10, 1297, 500)

    def trained(self, cls: type[Model], iterations: int, **overrides: Any) -> Any:
        """The model, from seed 0, after these iterations."""
        model = cls(cls.configure(self.spec, **overrides))
        torch.manual_seed(0)
        model.build(self.spec)
        data = self.labelled if "y" in cls.needs else self.few
        train(model, data, Budget(iterations=iterations), torch.Generator().manual_seed(1))
        return model

    @torch.no_grad()
    def error(self, model: Model) -> float:
        return float((model.classify(self.x).argmax(1) != self.y).float().mean())


@pytest.fixture(scope="session")
def digits() -> Digits:
    return Digits()
