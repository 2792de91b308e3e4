"""The engine against the scripts that people start from: same networks, batch, optimizer settings and real examples.

A case is a module with a `Script`, an `Engine` and the `BATCH` of unlabelled real events that an iteration of either
takes. Both are made from the folder that holds MNIST and `run` some iterations; the engine's does so at a precision.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from ganbench.bench.timing import CLOCKS, Clock, ratio
from ganbench.bench.train import iteration_flops
from ganbench.engine.turns import Precision
from ganbench.errors import MissingResource
from ganbench.provenance import environment

CASES = {"usual_script": "ganbench.bench.usual_gan", "ssl_script": "ganbench.bench.usual_ssl"}
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


def run(
    case: str, gemm: dict[str, float], *, clock: Clock = "wall", rounds: int = 5, data_dir: str | None = None
) -> list[Row]:
    """Script and engine on one thread, interleaved; then, by the wall's clock, both with all cores. Needs MNIST.

    Each lives in processes of its own: the script's as Python comes, the engine's prepared as workers of a run are.
    Processor time cannot tell what all cores together get done, so it is left at one thread.
    """
    root = _root(data_dir)
    batch: int = import_module(CASES[case]).BATCH
    work = partial(_work, case, root, clock)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    context = get_context("spawn")
    with (
        ProcessPoolExecutor(1, mp_context=context, initializer=_quiet) as usual,
        ProcessPoolExecutor(1, mp_context=context, initializer=_prepared) as one,
        ProcessPoolExecutor(cores, mp_context=context, initializer=_prepared) as all_cores,
    ):
        one_thread: dict[str, Callable[[], Readings]] = {
            "script, one thread": lambda: [usual.submit(work, 1)],
            **{f"engine, {p}, one thread": partial(_submit, one, 1, work, p) for p in PRECISIONS},
        }
        flops = one.submit(_flops, case, root).result()
        rows = _measure(one_thread, rounds, [1] * len(one_thread), batch)
        for row in rows[1:]:
            best = gemm["bfloat16" if "bf16" in row.way else "float32"]
            row.ceiling = row.examples_per_s / batch * flops / best
        if clock == "cpu" or cores < 2:
            return rows
        whole: dict[str, Callable[[], Readings]] = {f"script, {cores} threads": lambda: [usual.submit(work, cores)]}
        for p in PRECISIONS:
            whole[f"engine, {p}, {cores} workers"] = partial(_submit, all_cores, cores, work, p)
        return rows + _measure(whole, rounds, [1, *[cores] * len(PRECISIONS)], batch)


PRECISIONS: tuple[Precision, ...] = ("ieee", "bf16")
Readings = list[Future[float]]


def _submit(pool: ProcessPoolExecutor, count: int, work: Callable[..., float], precision: str) -> Readings:
    return [pool.submit(work, 1, precision) for _ in range(count)]


def _measure(ways: dict[str, Callable[[], Readings]], rounds: int, readings: list[int], batch: int) -> list[Row]:
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
        each = [s / (count * ITERATIONS * batch) for s in spent[way]]  # seconds per example
        base = [s / (readings[0] * ITERATIONS * batch) for s in spent[next(iter(ways))]]
        rows.append(Row(way, 1 / statistics.median(each), *ratio(base, each)))
    return rows


_made: dict[str, Any] = {}  # of a worker process: what it has loaded


def _work(case: str, root: Path, clock: Clock, threads: int, precision: str | None = None) -> float:
    """Seconds of one reading: of the engine at this precision, else of the script."""
    torch.set_num_threads(threads)
    subject = _subject(case, "Engine" if precision else "Script", root)
    start = CLOCKS[clock]()
    subject.run(ITERATIONS, *([precision] if precision else []))
    return CLOCKS[clock]() - start


def _subject(case: str, what: str, root: Path) -> Any:
    return _made.get(what) or _made.setdefault(what, getattr(import_module(CASES[case]), what)(root))


def _flops(case: str, root: Path) -> float:
    engine = _subject(case, "Engine", root)
    return iteration_flops(engine.model, engine.data)


def _quiet() -> None:
    os.dup2(2, sys.stdout.fileno())


def _prepared() -> None:
    _quiet()
    environment.keep_freed_memory()


def _root(data_dir: str | None) -> Path:
    root = data_dir or os.environ.get("GANBENCH_DATA")
    if not root or not (Path(root) / "MNIST").is_dir():
        raise MissingResource("these scripts train on mnist: `ganbench data get mnist`, or give --data-dir")
    return Path(root)
