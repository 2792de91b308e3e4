"""What this device can do at best, measured in the same run: matrix products, copies, sorting, exponentials.

A kernel's share of the ceiling is its floor (the least time its arithmetic, its traffic, its sorting and its
exponentials could take at these rates) over the time it took.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field

import torch

from ganbench.bench.timing import Clock, repeat
from ganbench.ops.pairwise import product
from ganbench.provenance import environment

GEMM = {"cpu": 1536, "cuda": 8192}  # rows and columns of the square product: beyond the caches, within seconds
COPY = {"cpu": 1 << 26, "cuda": 1 << 30}  # bytes: beyond the caches of one core, of a GPU
SORT_LENGTH = 10_000
ROWS = {"cpu": 16, "cuda": 4096}  # sorted at a time


@dataclass(frozen=True)
class Work:
    """What a call cannot do without."""

    flops: float = 0.0  # of matrix products and convolutions, a multiplication and an addition each counted
    bytes: float = 0.0  # read and written
    sorted: float = 0.0  # numbers that pass through a sort
    exps: float = 0.0  # exponentials


@dataclass(frozen=True)
class Ceilings:
    """Best rates of one device, by dtype name."""

    device: str
    threads: int
    gemm: dict[str, float] = field(default_factory=dict)  # flop/s
    copy: float = 0.0  # bytes/s, read and write both counted
    sort: dict[str, float] = field(default_factory=dict)  # numbers/s in rows of 10,000
    exp: dict[str, float] = field(default_factory=dict)  # exponentials/s in cache

    def floor(self, work: Work, dtype: str) -> float:
        """The least seconds: products overlap with traffic at best, sorting and exponentials come on top."""
        arithmetic = max(work.flops / self.gemm[dtype], work.bytes / self.copy)
        return arithmetic + work.sorted / self.sort[dtype] + work.exps / self.exp[dtype]


DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}


def measure(
    dtypes: tuple[str, ...] = ("float32", "float64", "bfloat16"), device: str = "cpu", clock: Clock = "wall"
) -> Ceilings:
    """The ceilings of this device, cpu or cuda; a second or two a dtype.

    The best of several repeats, for a ceiling is a maximum.
    """
    kind = torch.device(device).type
    side, n = GEMM[kind], COPY[kind] // 4
    gemm = {name: gemm_rate(side, side, side, name, device, clock) for name in dtypes}
    source, target = torch.zeros(n, device=device), torch.ones(n, device=device)
    copy = 2 * COPY[kind] / repeat(lambda: target.copy_(source), clock=clock, seconds=0.3).best
    sort = {name: sort_rate(name, device, clock) for name in dtypes}
    exp = {name: exp_rate(name, device, clock) for name in dtypes}
    return Ceilings(device_name(device), torch.get_num_threads(), gemm, copy, sort, exp)


def gemm_rate(m: int, k: int, n: int, dtype: str = "float32", device: str = "cpu", clock: Clock = "wall") -> float:
    """flop/s of (m, k) @ (k, n), by the better of the libraries at hand."""
    kind = DTYPES[dtype]
    a, b = torch.rand(m, k, device=device).to(kind), torch.rand(k, n, device=device).to(kind)
    out = torch.empty(m, n, dtype=kind, device=device)
    best = repeat(lambda: torch.mm(a, b, out=out), clock=clock, seconds=0.4).best
    if kind == torch.bfloat16 and a.device.type == "cpu":
        packed_a, packed_b = a.to_mkldnn(), b.T.contiguous().to_mkldnn()
        with contextlib.suppress(RuntimeError):  # a processor that oneDNN has no such path for
            packed = repeat(lambda: torch.nn.functional.linear(packed_a, packed_b), clock=clock, seconds=0.4).best
            best = min(best, packed)
    else:
        columns = b.T.contiguous()
        best = min(best, repeat(lambda: product(a, columns), clock=clock, seconds=0.4).best)
    return 2.0 * m * k * n / best


def exp_rate(dtype: str = "float32", device: str = "cpu", clock: Clock = "wall") -> float:
    """Exponentials/s on a block that stays in cache."""
    x = -torch.rand(1 << (15 if device == "cpu" else 24), device=device).to(DTYPES[dtype])
    out = torch.empty_like(x)
    return x.numel() / repeat(lambda: torch.exp(x, out=out), clock=clock, seconds=0.2).best


def sort_rate(dtype: str = "float32", device: str = "cpu", clock: Clock = "wall") -> float:
    """Numbers/s that pass through a sort of rows of 10,000; bfloat16, which none of our kernels sorts, as float32."""
    kind = torch.float64 if dtype == "float64" else torch.float32
    rows = torch.rand(ROWS[torch.device(device).type], SORT_LENGTH, device=device, dtype=kind)
    return rows.numel() / repeat(lambda: _sort(rows), clock=clock, seconds=0.2).best


def device_name(device: str) -> str:
    """The processor's or the GPU's model."""
    return torch.cuda.get_device_name(0) if device.startswith("cuda") else environment.cpu_name()


def device_class(device: str) -> str:
    """A name for files: cpu-amd-epyc-avx512, cuda-nvidia-h200."""
    unit = "" if device.startswith("cuda") else f" {torch.backends.cpu.get_cpu_capability()}"
    text = f"{device.partition(':')[0]} {device_name(device)}{unit}".lower()
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)|processor|@.*ghz", "", text)).strip("-")


def _sort(rows: torch.Tensor) -> object:
    if rows.device.type != "cpu":
        return rows.sort(dim=1)
    copied = rows.clone().numpy()  # numpy's vectorised sort is the fastest there is on a processor
    copied.sort(axis=1)
    return copied
