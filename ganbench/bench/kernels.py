"""`bench kernels`: every numerical kernel with its rate and its share of what the device could do at best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from ganbench.bench import ceilings
from ganbench.bench.ceilings import Ceilings, Work
from ganbench.bench.timing import Clock, interleave, ratio, repeat, summary
from ganbench.bench.workloads import CASES, DTYPES, Case, Load
from ganbench.errors import UnknownName


@dataclass(frozen=True)
class Row:
    """One kernel in one precision."""

    kernel: str
    dtype: str
    n: int
    d: int
    median_s: float
    spread: float  # p10 to p90 over the median
    items_per_s: float
    unit: str
    gb_per_s: float  # of the traffic it cannot do without
    gflop_per_s: float  # of the products it cannot do without
    ceiling: float  # share reached: floor over median
    peer: str
    peer_ratio: float | None  # the peer's time over ours, interleaved


@dataclass(frozen=True)
class Scaling:
    """How a kernel's time grows with n: t ~ n^exponent over these sizes."""

    kernel: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    exponent: float


def run(
    names: Sequence[str], *, device: str = "cpu", clock: Clock = "wall", seconds: float = 0.5, peers: bool = True
) -> tuple[Ceilings, list[Row]]:
    """Measure the ceilings, then each kernel in each precision it is used in. Raises `UnknownName`."""
    found = ceilings.measure(device=device, clock=clock)
    return found, [
        row(c, dtype, found, device=device, clock=clock, seconds=seconds, peers=peers)
        for c in chosen(names)
        for dtype in c.dtypes
    ]


def row(
    c: Case, dtype: str, best: Ceilings, *, device: str = "cpu", clock: Clock = "wall", seconds: float = 0.5,
    peers: bool = True,
) -> Row:  # fmt: skip
    """One kernel in one precision, beside its peer where it has one."""
    load = c.make(c.n, c.d, DTYPES[dtype], torch.device(device))
    if load.peer is not None and peers:
        times = interleave({"ours": load.call, "peer": load.peer}, clock=clock, rounds=7, target=seconds / 14)
        timing, against = summary(times["ours"]), ratio(times["peer"], times["ours"])[0]
    else:
        timing, against = repeat(load.call, clock=clock, seconds=seconds), None
    t = timing.median
    return Row(
        c.name, dtype, c.n, c.d, t, timing.spread, load.items / t, load.unit, load.bytes / t / 1e9,
        load.flops / t / 1e9, best.floor(_work(load), dtype) / t, load.peer_name if peers else "", against,
    )  # fmt: skip


def scaling(c: Case, *, device: str = "cpu", clock: Clock = "wall", seconds: float = 0.3) -> Scaling:
    """Time over n in the first precision, with the exponent fitted on the log-log line."""
    dtype = DTYPES[c.dtypes[0]]
    times = [
        repeat(c.make(n, c.d, dtype, torch.device(device)).call, clock=clock, seconds=seconds).median for n in c.sizes
    ]
    return Scaling(c.name, c.sizes, tuple(times), slope(c.sizes, times))


def slope(sizes: Iterable[float], times: Iterable[float]) -> float:
    """Least-squares slope of log time on log size."""
    x, y = [math.log(s) for s in sizes], [math.log(t) for t in times]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    products = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return products / sum((a - mean_x) ** 2 for a in x)


def chosen(names: Sequence[str]) -> list[Case]:
    """The named kernels, or all that there are. Raises `UnknownName`."""
    there = {n: c for n, c in CASES.items() if c.available}
    for name in names:
        if name not in there:
            raise UnknownName("kernel", name, there)
    return [there[n] for n in names or there]


def _work(load: Load) -> Work:
    return Work(load.flops, load.bytes, load.sorted, load.exps)
