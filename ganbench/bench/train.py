"""`bench train`: how fast models train, beside two loops of the same networks and losses in the same run.

The plain loop is what a script does: gradients for every network, unfused optimizers, a loss read back every iteration.
The bare loop does the engine's own operations and nothing else (`ganbench.bench.bare`): it prices the contract.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ganbench.bench import bare
from ganbench.bench.timing import CLOCKS, Clock, once, ratio
from ganbench.data import Batch, Split
from ganbench.datasets.load import load
from ganbench.engine.loop import train
from ganbench.engine.turns import Batches
from ganbench.errors import GanbenchError, NotApplicable, UnknownName
from ganbench.jobs.fitting import models_of
from ganbench.model import Budget, Model, Player
from ganbench.model.make import make

SIZES = {  # iterations of one reading
    "ring8": 200, "digits": 200, "mnist": 20, "edges_digits": 40, "inverted_digits": 40, "half_digits": 40,
    "captioned_digits": 40, "attributed_digits": 40, "shifted_digits": 40,
}  # fmt: skip
USUAL = ("ring8", "digits", "mnist")  # those that are read when none is named
CAPTURED = 10  # times as many of ours on CUDA: a training captures its graphs once, in far more iterations than these


@dataclass(frozen=True)
class Row:
    """One model on one data set. Examples are real events consumed, over all players' turns of an iteration."""

    model: str
    dataset: str
    iterations_per_s: float
    examples_per_s: float
    gflop_per_s: float  # of matrix products and convolutions in one iteration
    ceiling: float  # share of the matrix-product rate
    plain_ratio: float | None  # plain loop's seconds over ours: median over interleaved rounds
    lowest: float | None
    highest: float | None
    reason: str = ""
    bare_ratio: float | None = None  # our seconds over the bare loop's, likewise; None where no bare loop is written
    bare_lowest: float | None = None
    bare_highest: float | None = None


def run(
    models: Sequence[str],
    datasets: Sequence[str],
    gemm: float,
    *,
    device: str = "cpu",
    clock: Clock = "wall",
    rounds: int = 5,
    data_dir: str | None = None,
) -> list[Row]:
    """Every model on every data set it takes, against `gemm` flop/s. Raises `UnknownName`."""  # fmt: skip
    for name in datasets:
        if name not in SIZES:
            raise UnknownName("data set of this benchmark", name, SIZES)
    pairs = [(name, dataset) for dataset in datasets for name in models_of(dataset, models)]
    return [_row(*pair, gemm, device, clock, rounds, data_dir) for pair in pairs]


def _row(
    name: str, dataset: str, gemm: float, device: str, clock: Clock, rounds: int, data_dir: str | None
) -> Row:  # fmt: skip
    try:
        data = load(dataset, data_dir)
        ours, plain = (make(name, data.spec, seed=(name, dataset, 0)).to(torch.device(device)) for _ in range(2))
        if hasattr(ours, "fit"):
            raise NotApplicable("is not trained by players' turns")
        cond = data.train.cond if "cond" in ours.needs else None
        split = Split(data.train.x, data.train.y, _labelled(ours, data.train), cond).to(torch.device(device))
        n = dict.fromkeys(("ours", "plain", "bare"), SIZES[dataset])
        n["ours"] *= CAPTURED if device == "cuda" else 1
        start(ours, split, _rng(device))
        calls: dict[str, Callable[[], object]] = {
            "ours": _trainer(ours, split, n["ours"], device),
            "plain": partial(PlainLoop(plain, split, _rng(device)).run, n["plain"]),
        }
        if (loop := bare.make(ours, split, _rng(device))) is not None:
            calls["bare"] = partial(loop.run, n["bare"])
        with without(ours, "start", "finish"):
            times = {name: [t / n[name] for t in found] for name, found in rounds_of(calls, clock, rounds).items()}
    except GanbenchError as error:
        return Row(name, dataset, math.nan, math.nan, math.nan, math.nan, None, None, None, str(error))
    seconds, flops = statistics.median(times["ours"]), iteration_flops(ours, split, device)
    examples, plainly = turns(ours) * int(ours.config.batch_size), ratio(times["plain"], times["ours"])
    rates = 1 / seconds, examples / seconds, flops / seconds / 1e9, flops / seconds / gemm
    barely = ratio(times["ours"], times["bare"]) if "bare" in times else (None, None, None)
    return Row(name, dataset, *rates, *plainly, "", *barely)


def rounds_of(calls: dict[str, Callable[[], object]], clock: Clock, rounds: int) -> dict[str, list[float]]:
    """Seconds of each call in every round after one to warm up, forwards and backwards in turn."""
    now, order = CLOCKS[clock], list(calls)
    for call in calls.values():
        call()
    found: dict[str, list[float]] = {name: [] for name in order}
    for i in range(rounds):
        for name in order if i % 2 == 0 else order[::-1]:
            found[name].append(once(calls[name], 1, now))
    return found


def turns(model: Model) -> float:
    """Players' turns in one iteration, averaged over a hundred where a schedule or a span says how many."""
    return sum(
        sum(p.updates(t) if callable(p.updates) else p.updates for t in range(100) if _plays(p, t / 100)) / 100
        for p in model.players()
    )


def _plays(player: Player, share: float) -> bool:
    start, end = player.span
    return start <= share < end


def start(model: Model, split: Split, rng: torch.Generator) -> None:
    """What precedes a model's first turn."""
    model.train()
    with torch.no_grad():
        model.start(split, rng)


@contextmanager
def without(model: Model, *hooks: str) -> Iterator[None]:
    """Trainings of some iterations without what comes once in a run of thousands, while this lasts."""
    for name in hooks:
        setattr(model, name, lambda *_: {})
    try:
        yield
    finally:
        for name in hooks:
            delattr(model, name)


def iteration_flops(model: Model, split: Split, device: str = "cpu") -> float:
    """Matrix-product and convolution operations of the turns of one iteration of the engine."""
    with without(model, "start", "finish", "diagnostics"):
        return flops_of(lambda: train(model, split, Budget(iterations=1), _rng(device), capture=False))


def flops_of(call: Callable[[], object]) -> float:
    """Matrix-product and convolution operations of a call, counted as torch dispatches them."""
    with _Flops() as counter:
        call()
    total: float = counter.total
    return total


class _Flops(TorchDispatchMode):
    """Adds up what torch's own formulas say of each product and convolution; oneDNN's linear layer has none there."""

    def __init__(self) -> None:
        super().__init__()
        self.total: float = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        if packet in flop_registry:
            self.total += flop_registry[packet](*args, **(kwargs or {}), out_val=out)
        elif packet is torch.ops.mkldnn._linear_pointwise:
            x, weight = args[:2]
            self.total += 2.0 * x.numel() * weight.shape[0]
        return out


class PlainLoop:
    """The same players in a loop as scripts write it."""

    def __init__(self, model: Model, split: Split, rng: torch.Generator) -> None:
        self.model, self.batches = model, Batches(model, split, rng)
        self.players = model.players()
        self.optimizers = [self._optimizer(p) for p in self.players]
        self.iteration = 0

    def run(self, iterations: int) -> None:
        """As many turns as so many iterations have; the optimizers' state goes on from call to call."""
        self.model.train()
        total, done = iterations * turns(self.model), 0  # counted in turns, as the trainings beside it are
        while done < total:
            share = done / total
            self.model.advance(share)
            for player, optimizer in zip(self.players, self.optimizers, strict=True):
                if not _plays(player, share):
                    continue
                updates = player.updates(self.iteration) if callable(player.updates) else player.updates
                for _ in range(updates):
                    self.step(player, optimizer, self.batches.gather(self.batches.draw()))
                done += updates
            self.iteration += 1
        self.model.eval()

    def step(self, player: Player, optimizer: torch.optim.Optimizer, batch: Batch) -> float:
        """One turn: gradients reach every network, those of the others are thrown away at their next turn."""
        self.model.zero_grad()
        loss: Tensor = player.loss(batch)
        loss.backward()
        optimizer.step()
        if player.after is not None:
            player.after()
        return loss.item()

    @staticmethod
    def _optimizer(player: Player) -> torch.optim.Optimizer:
        parameters = [p for p in player.module.parameters() if p.requires_grad]
        try:
            return player.optimizer(parameters, foreach=False)
        except TypeError:
            return player.optimizer(parameters)


def _trainer(model: Model, split: Split, iterations: int, device: str) -> Callable[[], object]:
    rng = _rng(device)
    # Counted in examples, diagnostics come every hundredth iteration, as in a run of full length.
    budget = Budget(examples=round(iterations * turns(model) * int(model.config.batch_size)))
    return lambda: train(model, split, budget, rng)


def _labelled(model: Model, split: Split) -> Tensor | None:
    if "labels" not in model.needs or split.y is None:
        return None
    return torch.cat([(split.y == k).nonzero().flatten()[:10] for k in split.y.unique()])


def _rng(device: str) -> torch.Generator:
    return torch.Generator(device=device).manual_seed(0)
