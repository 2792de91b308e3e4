"""`bench chains`: methods that are given a density, all chains moved together, beside a Python loop over them.

Each side draws as many states of as many chains of the same law; the loop calls the same code for one chain at a time.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ganbench.bench.timing import Clock, ratio
from ganbench.bench.train import rounds_of
from ganbench.data import Split
from ganbench.datasets.load import load
from ganbench.model import Budget, Model
from ganbench.model.make import make

DATASET = "correlated_gaussian"
CHAINS = 64
STEPS = 100
DRAWS = 8  # of each restart of mean_field_vi in a step
METHODS: dict[str, Callable[[int], dict[str, Any]]] = {  # the config that makes so many chains
    "metropolis_hastings": lambda n: {"batch_size": n},
    "gibbs": lambda n: {"batch_size": n},
    "mean_field_vi": lambda n: {"batch_size": n * DRAWS, "restarts": n},
}


@dataclass(frozen=True)
class Row:
    """One method. The ratio is the loop's seconds over ours: median over interleaved rounds."""

    method: str
    chains: int
    evaluations_per_s: float
    ratio: float
    lowest: float
    highest: float


def run(clock: Clock = "wall", rounds: int = 3) -> list[Row]:
    """Every method with a vectorised form, on one law."""
    law, rows = load(DATASET), []
    data = Split(law.train.x[:0], density=law.train.density)
    rng = torch.Generator().manual_seed(0)

    def fitted(name: str, chains: int) -> Model:
        model: Any = make(name, law.spec, METHODS[name](chains))
        model.fit(data, Budget(iterations=STEPS), rng)
        made: Model = model
        return made

    for name in METHODS:

        def together(name: str = name) -> None:
            fitted(name, CHAINS)

        def one_by_one(name: str = name) -> None:
            for _ in range(CHAINS):
                fitted(name, 1)

        times = rounds_of({"ours": together, "loop": one_by_one}, clock, rounds)
        evaluations = fitted(name, CHAINS).estimate().evaluations
        middle, low, high = ratio(times["loop"], times["ours"])
        rows.append(Row(name, CHAINS, evaluations / statistics.median(times["ours"]), middle, low, high))
    return rows
