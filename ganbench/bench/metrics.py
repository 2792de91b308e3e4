"""Metrics against what people use today: the same work, the same value first, then interleaved medians.

A case names the work, our function and, where there is one, the peer's. Both run in one process on the same float32
arrays, turn by turn, so that a busy machine slows both; the ratio is that of the medians. On a machine that others use,
`--threads 1 --clock cpu` counts processor time instead. The share of the ceiling divides the arithmetic of the work by
our time and by the rate of a matrix product measured in the same run. The floor adds to that arithmetic what else the
work needs, its sorts and exponentials, at this machine's rates. Scratch is the growth of resident memory in our turn.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganbench.bench import ceilings
from ganbench.bench.ceilings import Ceilings, Work
from ganbench.bench.timing import CLOCKS, Clock
from ganbench.errors import UnknownName
from ganbench.ops.pairwise import product
from ganbench.provenance.environment import scratch

Value = float | list[float]
NOTHING = Work()  # known to be indispensable


@dataclass(frozen=True)
class Case:
    """One line of the table, with its data already made."""

    work: str
    ours: Callable[[], Value]
    peer: Callable[[], Value] | None = None
    peer_name: str = "-"
    least: Work = NOTHING  # what `ours` cannot do without
    tolerance: float = 1e-4  # relative, between the two values
    target: str = ""


@dataclass(frozen=True)
class Result:
    """What a case measured. Seconds are medians."""

    case: str
    work: str
    peer: str
    seconds: float
    peer_seconds: float | None
    ratio: float | None  # the peer's seconds over ours
    ratios: tuple[float, float] | None  # least and largest of the turns
    ceiling: float | None  # share of the matrix-product rate
    floor: float | None  # least seconds at this machine's rates
    scratch_mb: float | None  # None where the system does not tell
    target: str
    value: Value
    turns: int


CASES: dict[str, Callable[[], Case]] = {}


def case(function: Callable[[], Case]) -> Callable[[], Case]:
    """Adds a case under the function's name; the function makes its data when it is called."""
    CASES[function.__name__] = function
    return function


def measure(name: str, turns: int, clock: Clock, best: Ceilings) -> Result:
    """Run a case: values first, which must agree, then `turns` of peer and ours in alternation.

    Cases without a peer are long: their first run is the measurement.

    Raises `AssertionError` when the values differ by more than the case's tolerance.
    """
    made, now = CASES[name](), CLOCKS[clock]
    values: list[Value] = []
    with scratch() as grown:
        ours = [_seconds(lambda: values.append(made.ours()), now)]
    value, theirs, rates = values[0], [], [product_rate(now)]
    if made.peer is not None:
        expected: list[Value] = []
        peer_function = made.peer
        theirs.append(_seconds(lambda: expected.append(peer_function()), now))
        np.testing.assert_allclose(value, expected[0], rtol=made.tolerance)
        for turn in range(turns):
            if turn == 0:  # what ran first was the warm-up; it counts only where no turns are asked for
                ours.clear()
                theirs.clear()
            theirs.append(_seconds(made.peer, now))
            ours.append(_seconds(made.ours, now))
            rates.append(product_rate(now))
    seconds, rate = statistics.median(ours), statistics.median(rates)
    peer = statistics.median(theirs) if theirs else None
    each = [b / a for a, b in zip(ours, theirs, strict=True)] if theirs else []
    taken = grown["bytes"] / 2**20 if "bytes" in grown else None
    return Result(
        name, made.work, made.peer_name, seconds, peer,
        ratio=None if peer is None else peer / seconds,
        ratios=(min(each), max(each)) if each else None,
        ceiling=made.least.flops / seconds / rate if made.least.flops else None,
        floor=replace(best, gemm={"float32": rate}).floor(made.least, "float32") if made.least.flops else None,
        scratch_mb=taken, target=made.target, value=value, turns=len(ours),
    )  # fmt: skip


def _seconds(function: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    function()
    return clock() - start


def product_rate(clock: Callable[[], float], n: int = 1008) -> float:
    """Operations per second of a float32 matrix product that fits the cache: the best of two libraries, nine times."""
    a, b, out = torch.rand(n, n), torch.rand(n, n), torch.empty(n, n)
    forms = (lambda: torch.mm(a, b, out=out), lambda: product(a, b))
    return 2 * n**3 / min(_seconds(form, clock) for _ in range(9) for form in forms)


def _normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).mul_(scale)


@case
def sliced_w2() -> Case:
    """SW2 of equal sizes over given directions."""
    import ot

    from ganbench.ops.sliced import random_directions, sliced_wasserstein

    x, y = _normal(10_000, 784), _normal(10_000, 784, seed=1, scale=1.1)
    theta = random_directions(500, 784, torch.Generator().manual_seed(2))
    a, b, c = x.numpy(), y.numpy(), theta.numpy().T.copy()
    return Case(
        "sliced W2, n = 10,000, d = 784, 500 directions",
        lambda: float(sliced_wasserstein(x, y, theta).mean()) ** 0.5,
        lambda: float(ot.sliced_wasserstein_distance(a, b, projections=c)),
        "POT",
        least=Work(flops=2 * 2 * 10_000 * 784 * 500, sorted=2 * 10_000 * 500),
        target=">= 11x",
    )


@case
def sliced_w2_large() -> Case:
    """SW2 at a size where all projections at once would take 400 MB."""
    from ganbench.ops.sliced import random_directions, sliced_wasserstein

    x, y = _normal(50_000, 3072), _normal(50_000, 3072, seed=1, scale=1.1)
    theta = random_directions(1000, 3072, torch.Generator().manual_seed(2))
    return Case(
        "sliced W2, n = 50,000, d = 3072, 1000 directions",
        lambda: float(sliced_wasserstein(x, y, theta).mean()) ** 0.5,
        least=Work(flops=2 * 2 * 50_000 * 3072 * 1000, sorted=2 * 50_000 * 1000),
        target="scratch <= 300 MB",
    )


@case
def mmd_rbf() -> Case:
    """Unbiased MMD^2 with its standard error; the peer is the dense form without one."""
    from ganbench.ops.kernels import RBF, gram_sums

    x, y = _normal(5000, 2048), _normal(5000, 2048, seed=1, scale=1.05)
    return Case(
        "RBF MMD^2 unbiased with SE, n = 5,000, d = 2048",
        lambda: gram_sums(x, y, RBF((45.0,))).unbiased,
        lambda: _dense_mmd2(x, y, 45.0),
        "dense",
        least=Work(flops=2 * 2 * 5000**2 * 2048, exps=2 * 5000**2),
        target=">= 75 % of GEMM",
    )


def _dense_mmd2(x: Tensor, y: Tensor, bandwidth: float) -> float:
    """The form found in evaluation scripts: three whole matrices of squared distances, exponentials and means."""

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        square = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
        return torch.exp(-square / (2 * bandwidth**2))

    n, m = len(x), len(y)
    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    within = (xx.sum() - xx.trace()) / (n * (n - 1)) + (yy.sum() - yy.trace()) / (m * (m - 1))
    return float(within - 2 * xy.mean())


@case
def mmd_rbf_large() -> Case:
    """Unbiased MMD^2 where one Gram matrix would take 10 GB."""
    from ganbench.ops.kernels import RBF, gram_sums

    x, y = _normal(50_000, 512), _normal(50_000, 512, seed=1, scale=1.05)
    return Case(
        "RBF MMD^2 unbiased with SE, n = 50,000, d = 512",
        lambda: gram_sums(x, y, RBF((23.0,))).unbiased,
        least=Work(flops=2 * 2 * 50_000**2 * 512, exps=2 * 50_000**2),
        target="scratch <= 300 MB",
    )


def _kid_case(n: int, one_pass: bool) -> Case:
    from torch_fidelity.metric_kid import kid_features_to_metric

    from ganbench.ops.kernels import Polynomial, subset_mmd2, subset_sums

    x, y = _normal(n, 2048).abs_(), _normal(n, 2048, seed=1, scale=1.1).abs_()
    draws = np.random.RandomState(2020)  # the subsets that torch-fidelity draws
    index = torch.from_numpy(np.stack([draws.choice(n, 1000, replace=False) for _ in range(200)]))
    kernel, i, j = Polynomial(1 / 2048), index[::2], index[1::2]
    options = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_coef0": 1.0, "verbose": False}

    def ours() -> float:
        values = subset_sums(x, y, kernel, i, j)[0] if one_pass else subset_mmd2(x, y, kernel, i, j)
        return float(values.mean())

    def peer() -> float:
        found = kid_features_to_metric(x, y, kid_subsets=100, kid_subset_size=1000, rng_seed=2020, **options)
        return float(found["kernel_inception_distance_mean"])

    pairs = 2 * n**2 if one_pass else 100 * 2 * 1000**2
    form = "one pass, with the full value and its SE" if one_pass else "subset by subset"
    return Case(
        f"KID, 100 subsets of 1000, n = {n:,}, d = 2048, {form}",
        ours,
        peer,
        "torch-fidelity",
        least=Work(flops=2 * 2048 * pairs),
        target=">= 75 % of GEMM",
    )


@case
def kid_published() -> Case:
    """The published protocol alone, at a size where one pass over all pairs would cost more."""
    return _kid_case(20_000, one_pass=False)


@case
def kid_one_pass() -> Case:
    """Subsets and full value together."""
    return _kid_case(10_000, one_pass=True)


@case
def closest_pairs() -> Case:
    """Closest pairs among images: MNIST where GANBENCH_DATA has it, else clustered points."""
    from ganbench.ops.closest_pairs import closest_pairs as ours

    x, name = _images(50_000)
    return Case(
        f"20 closest pairs, n = 50,000, d = 784 ({name})",
        lambda: _as_value(*ours(x, 20)),
        lambda: _as_value(*_closest_by_blocks(x, 20)),
        "brute-force blocks",
        tolerance=0.0,
        target=">= 15x, the same pairs",
    )


def _images(n: int) -> tuple[Tensor, str]:
    file = Path(os.environ.get("GANBENCH_DATA", "")) / "MNIST" / "raw" / "train-images-idx3-ubyte"
    if file.is_file():
        pixels = np.fromfile(file, np.uint8, count=n * 784, offset=16).reshape(n, 784)
        return torch.from_numpy(pixels).float() / 127.5 - 1, "MNIST"
    centres = _normal(200, 784, seed=1, scale=3.0)
    return centres[torch.arange(n) % 200] + _normal(n, 784), "200 clusters"


def _closest_by_blocks(x: Tensor, k: int, size: int = 2048) -> tuple[Tensor, Tensor]:
    """All pairs by blocks above the diagonal, candidates kept by their float32 distance and measured again."""
    x = x - x.mean(0)
    norms = x.square().sum(1)
    pairs, bound = torch.empty(0, 2, dtype=torch.long), torch.tensor(torch.inf)
    squares = torch.empty(0)
    for i in range(0, len(x), size):
        for j in range(i, len(x), size):
            block = norms[i : i + size, None] + norms[None, j : j + size] - 2 * x[i : i + size] @ x[j : j + size].T
            if i == j:
                block += torch.full_like(block, torch.inf).tril_()
            if block.amin() > bound:
                continue
            a, b = (block <= bound).nonzero().unbind(1)
            found = block[a, b]
            keep = found.topk(min(4 * k, len(found)), largest=False).indices
            pairs = torch.cat([pairs, torch.stack([a[keep] + i, b[keep] + j], 1)])
            squares = torch.cat([squares, found[keep]])
            keep = squares.topk(min(4 * k, len(squares)), largest=False).indices
            pairs, squares = pairs[keep], squares[keep]
            bound = squares.max() if len(squares) == 4 * k else bound
    distances = (x[pairs[:, 0]].double() - x[pairs[:, 1]].double()).norm(dim=1)
    order = distances.argsort()[:k]
    return pairs[order], distances[order]


def _as_value(pairs: Tensor, distances: Tensor) -> list[float]:
    return [*map(float, pairs.flatten()), *(round(d, 4) for d in distances.tolist())]


@case
def prdc() -> Case:
    """Precision, recall, density and coverage with k = 5; ours with standard errors."""
    from prdc import compute_prdc

    from ganbench.metrics.neighbors import FREEDOM, MOST_BLOCKS
    from ganbench.metrics.neighbors import prdc as ours

    samples, reference = _normal(10_000, 512, scale=0.98), _normal(10_000, 512, seed=1)
    divisions = math.ceil(FREEDOM / (MOST_BLOCKS - 1))
    errors = divisions * 10_000**2 / MOST_BLOCKS  # pairs within blocks, for the standard errors
    names = ("precision", "recall", "density", "coverage")

    def peer() -> list[float]:
        with contextlib.redirect_stdout(io.StringIO()):
            found = compute_prdc(reference.numpy(), samples.numpy(), nearest_k=5)
        return [float(found[name]) for name in names]

    return Case(
        "precision, recall, density, coverage, n = 10,000, d = 512",
        lambda: [s.value for s in ours(samples, reference, rng=torch.Generator().manual_seed(0), k=5)[:4]],  # F1 apart
        peer,
        "prdc",
        least=Work(flops=2 * 512 * 2 * (10_000**2 + errors)),
        tolerance=1e-3,  # the peer's float32 distances tie
        target=">= 6x, >= 55 % of GEMM",
    )


def _transport_case(n: int, d: int) -> Case:
    """Exact W1 with its certificate; the peer is the fastest solver for the dimension, cost matrix included."""
    import lap
    import ot

    from ganbench.ops.assignment import transport

    x, y = _normal(n, d), _normal(n, d, seed=1) + 0.1
    a, b = x.double().numpy(), y.double().numpy()

    def simplex() -> float:
        return float(ot.emd2([], [], ot.dist(a, b, metric="euclidean"), numItermax=10**9))

    def shortest_paths() -> float:
        cost = ot.dist(a, b, metric="euclidean")
        rows, cols = lap.lapjvs(cost, return_cost=False, jvx_like=True)
        return float(cost[rows, cols].mean())

    peer, name = (simplex, "POT simplex") if d < 16 else (shortest_paths, "lapx lapjvs")
    return Case(
        f"exact W1, n = {n:,}, d = {d}, with certificate",
        lambda: transport(x, y).primal,
        peer,
        name,
        tolerance=1e-6,  # lapx works in single precision
        target=">= 0.87x" if n < 10_000 else ">= 2x, scratch <= 600 MB",
    )


def _extraction_case(bfloat16: bool) -> Case:
    """Features of pictures, as scores look at them, against the loop that torch's own examples evaluate with."""
    from ganbench.bench.extraction import LEAST_TOLERANCE, Pictures

    work = Pictures(256, bfloat16)
    return Case(
        f"features of 256 pictures of 32x32 through EfficientNet-Lite0 at 96 px{', bfloat16' if bfloat16 else ''}",
        work.ours,
        work.eval_loop,
        "torch eval loop",
        tolerance=LEAST_TOLERANCE[bfloat16],
        target=">= 1x",
    )


for _half in (False, True):
    CASES["extraction_bfloat16" if _half else "extraction"] = partial(_extraction_case, _half)

for _n in (2000, 5000, 10_000):
    for _d in (2, 64):
        CASES[f"wasserstein_{_n}_{_d}"] = partial(_transport_case, _n, _d)


def run(cases: Sequence[str], turns: int, clock: Clock) -> list[Result]:
    """Measure the named cases, or all of them. Raises `UnknownName`."""
    for name in cases:
        if name not in CASES:
            raise UnknownName("metrics case", name, CASES)
    results, rates = [], ceilings.measure(("float32",), clock=clock)
    for name in cases or CASES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        results.append(measure(name, turns, clock, rates))
    return results
