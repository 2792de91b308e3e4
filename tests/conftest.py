"""Shared fixtures: one torch thread, a seeded generator, small specs of each kind of event."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from ganbench.data import DataSpec


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Draws without a generator of their own are the same in every run, whatever ran before on this worker."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - what scikit-learn falls back on
    random.seed(0)


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def vector_spec() -> DataSpec:
    return DataSpec("vector", (2,), n_train=512, n_eval=256)


@pytest.fixture
def image8_spec() -> DataSpec:
    return DataSpec("image8", (1, 8, 8), domain=(-1.0, 1.0), n_classes=10, n_train=512, n_eval=256)


@pytest.fixture
def image28_spec() -> DataSpec:
    return DataSpec("image28", (1, 28, 28), domain=(-1.0, 1.0), n_classes=10, n_train=512, n_eval=256)


@pytest.fixture(scope="session")
def place() -> Any:
    """One workplace for all tests: data, scorer and floors are loaded once."""
    from ganbench.scoring.inputs import Workplace

    return Workplace()
