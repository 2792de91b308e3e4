"""The case `usual_script`: an MLP GAN on MNIST in the engine against the script that people start from, in one run.

Networks, batch, optimizer settings and the real examples seen are the same: G 100-128-256-512-1024-784 with batch norm,
D 784-512-256-1, leaky ReLU 0.2, batch 64, Adam 2e-4 (0.5, 0.999). The script reads PIL images through a DataLoader with
Resize, ToTensor and Normalize, takes BCE on a sigmoid, leaves Adam as it comes, lets gradients reach both networks and
reads both losses back. It generates once an iteration for both players where the engine, as Algorithm 1 says,
generates twice.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganbench import environment
from ganbench.bench.timing import CLOCKS, Clock, ratio
from ganbench.bench.train import iteration_flops
from ganbench.data import Split
from ganbench.datasets.load import load
from ganbench.engine import Precision, matmul_precision, train
from ganbench.errors import MissingResource
from ganbench.model import Budget
from ganbench.nn.mlp import MLP
from ganbench.registry import MODELS

BATCH, WIDTHS, JUDGE = 64, (128, 256, 512, 1024), (512, 256)
ITERATIONS = 100  # of one reading


@dataclass
class Row:
    """One way to run it."""

    way: str
    examples_per_s: float
    ratio: float  # to the script in the same run: median over interleaved rounds
    lowest: float
    highest: float
    ceiling: float | None = None  # share of the float32 matrix-product rate; of the bfloat16 rate for bf16


def run(gemm: dict[str, float], *, clock: Clock = "wall", rounds: int = 5, data_dir: str | None = None) -> list[Row]:
    """Script and engine on one thread, interleaved; then, by the wall's clock, both with all cores. Needs MNIST.

    Each lives in processes of its own: the script's as Python comes, the engine's prepared as workers of a run are.
    Processor time cannot tell what all cores together get done, so it is left at one thread.
    """
    _root(data_dir)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    context = get_context("spawn")
    with (
        ProcessPoolExecutor(1, mp_context=context, initializer=_quiet) as usual,
        ProcessPoolExecutor(1, mp_context=context, initializer=_prepared) as one,
        ProcessPoolExecutor(cores, mp_context=context, initializer=_prepared) as all_cores,
    ):
        one_thread: dict[str, Callable[[], Readings]] = {
            "script, one thread": lambda: [usual.submit(_work, "script", 1, data_dir, clock)],
            **{f"engine, {p}, one thread": partial(_submit, one, 1, p, data_dir, clock) for p in PRECISIONS},
        }
        flops = one.submit(_flops, data_dir).result()
        rows = _measure(one_thread, rounds, [1] * len(one_thread))
        for row in rows[1:]:
            best = gemm["bfloat16" if "bf16" in row.way else "float32"]
            row.ceiling = row.examples_per_s / BATCH * flops / best
        if clock == "cpu" or cores < 2:
            return rows
        whole: dict[str, Callable[[], Readings]] = {
            f"script, {cores} threads": lambda: [usual.submit(_work, "script", cores, data_dir, clock)]
        }
        for p in PRECISIONS:
            whole[f"engine, {p}, {cores} workers"] = partial(_submit, all_cores, cores, p, data_dir, clock)
        return rows + _measure(whole, rounds, [1, *[cores] * len(PRECISIONS)])


PRECISIONS: tuple[Precision, ...] = ("ieee", "bf16")
Readings = list[Future[float]]


def _submit(pool: ProcessPoolExecutor, count: int, precision: str, data_dir: str | None, clock: Clock) -> Readings:
    return [pool.submit(_work, precision, 1, data_dir, clock) for _ in range(count)]


def _measure(ways: dict[str, Callable[[], Readings]], rounds: int, readings: list[int]) -> list[Row]:
    """Rates of all ways, interleaved, after one round to warm up; the first is the one that ratios are to."""
    spent: dict[str, list[float]] = {way: [] for way in ways}
    for i in range(rounds + 1):
        order = list(ways) if i % 2 else list(ways)[::-1]
        for way in order:
            slowest = max(reading.result() for reading in ways[way]())
            if i:
                spent[way].append(slowest)
    rows = []
    for way, count in zip(ways, readings, strict=True):
        each = [s / (count * ITERATIONS * BATCH) for s in spent[way]]  # seconds per example
        base = [s / (readings[0] * ITERATIONS * BATCH) for s in spent[next(iter(ways))]]
        rows.append(Row(way, 1 / statistics.median(each), *ratio(base, each)))
    return rows


_made: dict[str, Any] = {}  # of a worker process: what it has loaded


def _work(what: str, threads: int, data_dir: str | None, clock: Clock) -> float:
    """Seconds of one reading."""
    torch.set_num_threads(threads)
    subject = _subject(what, data_dir)
    start = CLOCKS[clock]()
    subject.run(ITERATIONS) if what == "script" else subject.run(ITERATIONS, what)
    return CLOCKS[clock]() - start


def _subject(what: str, data_dir: str | None) -> Any:
    if what == "script":
        return _made.get("script") or _made.setdefault("script", Script(_root(data_dir)))
    return _made.get("engine") or _made.setdefault("engine", Engine(data_dir))


def _flops(data_dir: str | None) -> float:
    engine = _subject("ieee", data_dir)
    return iteration_flops(engine.model, engine.data)


def _quiet() -> None:
    os.dup2(2, sys.stdout.fileno())


def _prepared() -> None:
    _quiet()
    environment.keep_freed_memory()


class Engine:
    """The networks in a registered GAN, trained by the engine."""

    def __init__(self, data_dir: str | None) -> None:
        data = load("mnist", data_dir)
        cls: Any = MODELS.load("gan_ns")
        self.model = cls(cls.configure(data.spec, latent_dim=100, architecture="mlp", batch_size=BATCH))
        self.model.spec = data.spec
        torch.manual_seed(0)
        self.model.generator = MLP(
            (100,), WIDTHS, data.spec.event_shape, activation=_leaky, norm=nn.BatchNorm1d, out_activation=nn.Tanh
        )
        self.model.discriminator = MLP(data.spec.event_shape, JUDGE, (), activation=_leaky)
        self.data, self.rng = Split(data.train.x), torch.Generator().manual_seed(0)

    def run(self, iterations: int, precision: Precision = "ieee") -> None:
        """Train on from where it stands."""
        with matmul_precision(precision):
            train(self.model, self.data, Budget(iterations=iterations), self.rng)


class Script:
    """The script: its data pipeline, its losses, its loop."""

    def __init__(self, root: Path) -> None:
        from torch.utils.data import DataLoader
        from torchvision import datasets, transforms

        steps = [transforms.Resize(28), transforms.ToTensor(), transforms.Normalize([0.5], [0.5])]
        images = datasets.MNIST(str(root), transform=transforms.Compose(steps))
        self.loader = DataLoader(images, batch_size=BATCH, shuffle=True, drop_last=True)
        self.batches = iter(self.loader)
        layers: list[nn.Module] = []
        for a, b in zip((100, *WIDTHS), WIDTHS, strict=False):
            layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.LeakyReLU(0.2, inplace=True)]
        self.generator = nn.Sequential(*layers, nn.Linear(WIDTHS[-1], 784), nn.Tanh())
        self.discriminator = nn.Sequential(
            nn.Linear(784, JUDGE[0]), nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(*JUDGE), nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(JUDGE[1], 1), nn.Sigmoid(),
        )  # fmt: skip
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.loss = nn.BCELoss()

    def run(self, iterations: int) -> None:
        """Some iterations, through as many epochs as they take."""
        for _ in range(iterations):
            real = self._next().view(-1, 784)
            ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
            self.optimizer_g.zero_grad()
            fake = self.generator(torch.randn(len(real), 100))
            g_loss = self.loss(self.discriminator(fake), ones)
            g_loss.backward()
            self.optimizer_g.step()
            self.optimizer_d.zero_grad()
            on_real = self.loss(self.discriminator(real), ones)
            d_loss = (on_real + self.loss(self.discriminator(fake.detach()), zeros)) / 2
            d_loss.backward()
            self.optimizer_d.step()
            g_loss.item(), d_loss.item()

    def _next(self) -> Tensor:
        try:
            images, _ = next(self.batches)
        except StopIteration:
            self.batches = iter(self.loader)
            images, _ = next(self.batches)
        found: Tensor = images
        return found


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.2)


def _root(data_dir: str | None) -> Path:
    root = data_dir or os.environ.get("GANBENCH_DATA")
    if not root or not (Path(root) / "MNIST").is_dir():
        raise MissingResource("usual_script trains on mnist: `ganbench data get mnist`, or give --data-dir")
    return Path(root)
