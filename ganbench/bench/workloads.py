"""Kernels and training steps as fixed work: what is timed, with what it cannot do without, and what others would do.

Self-contained on purpose: an A/B comparison loads this one file beside two source trees, so that both do the same
work. Every case imports what it measures inside itself, and is absent where a tree does not have it.

Shapes      N, M rows, D dimensions, L lines, B batch, F outputs.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Call = Callable[[], object]
DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Load:
    """One call of fixed size. `flops`, `bytes`, `sorted` and `exps` are what it cannot do without."""

    call: Call
    items: float  # pairs, examples, ... in one call
    unit: str
    flops: float = 0.0
    bytes: float = 0.0
    sorted: float = 0.0
    exps: float = 0.0
    peer: Call | None = None  # the same work as people do it today
    peer_name: str = ""


@dataclass(frozen=True)
class Case:
    """A kernel at a size n (and d), in the precisions it is used in."""

    name: str
    make: Callable[[int, int, torch.dtype, torch.device], Load]
    n: int
    d: int
    needs: str  # the module that it measures
    dtypes: tuple[str, ...] = ("float32", "float64")
    sizes: tuple[int, ...] = ()  # over which the time is followed

    @property
    def available(self) -> bool:
        """True where the source tree has what it measures."""
        try:
            return importlib.util.find_spec(self.needs) is not None
        except ModuleNotFoundError:
            return False


CASES: dict[str, Case] = {}


def case(
    n: int, d: int, needs: str, dtypes: tuple[str, ...] = ("float32", "float64"), sizes: tuple[int, ...] = ()
) -> Callable[[Callable[..., Load]], Callable[..., Load]]:
    """Register a maker under its function's name."""

    def mark(make: Callable[..., Load]) -> Callable[..., Load]:
        CASES[make.__name__] = Case(make.__name__, make, n, d, needs, dtypes, sizes)
        return make

    return mark


def normal(*shape: int, dtype: torch.dtype, device: torch.device, seed: int = 0) -> Tensor:
    """Fixed Gaussian data."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(device, dtype)


@case(2048, 64, "ganbench.ops.pairwise", sizes=(512, 1024, 2048, 4096))
def pairwise_tiles(n: int, d: int, dtype: torch.dtype, device: torch.device) -> Load:
    """Squared distances of two sets, tile by tile, as metrics take them."""
    from ganbench.ops.pairwise import tiles

    x, y = (normal(n, d, dtype=dtype, device=device, seed=s) for s in (0, 1))

    def call() -> None:
        for _ in tiles(x, y):
            pass

    size = x.element_size()
    # A tile stays in the cache, so only the rows travel.
    return Load(
        call, n * n, "pairs", 2.0 * n * n * d, 2.0 * n * d * size, peer=lambda: torch.cdist(x, y), peer_name="cdist"
    )


@case(512, 64, "ganbench.ops.pairwise", sizes=(128, 256, 512, 1024))
def pairwise_loss(n: int, d: int, dtype: torch.dtype, device: torch.device) -> Load:
    """Dense squared distances of two batches, forward and backward, as losses take them."""
    from ganbench.ops.pairwise import squared_distances

    x, y = (normal(n, d, dtype=dtype, device=device, seed=s).requires_grad_() for s in (0, 1))

    def call() -> None:
        torch.autograd.grad(squared_distances(x, y).sum(), (x, y))

    def peer() -> None:
        torch.autograd.grad(torch.cdist(x, y).square().sum(), (x, y))

    # One product forward, two backward; the matrix is written, clamped, and its gradient masked and read.
    moved = 5.0 * n * n * x.element_size()
    return Load(call, n * n, "pairs", 6.0 * n * n * d, moved, peer=peer, peer_name="cdist squared")


@case(2000, 64, "ganbench.ops.kernels", sizes=(500, 1000, 2000, 4000))
def mmd_sums(n: int, d: int, dtype: torch.dtype, device: torch.device) -> Load:
    """All sums of three RBF Gram matrices in one pass: MMD^2 with its standard error."""
    from ganbench.ops.kernels import RBF, gram_sums

    x, y = (normal(n, d, dtype=dtype, device=device, seed=s) for s in (0, 1))
    kernel = RBF((float(d) ** 0.5,))

    def peer() -> object:
        return [torch.exp(-torch.cdist(a, b).square() / (2 * d)).sum(1) for a, b in ((x, x), (y, y), (x, y))]

    # Two symmetric matrices by their upper triangles and one in full: 2 n^2 distances and as many exponentials.
    pairs = 2.0 * n * n
    return Load(
        lambda: gram_sums(x, y, kernel), pairs, "pairs", 2.0 * pairs * d, exps=pairs, peer=peer, peer_name="dense cdist"
    )


@case(256, 64, "ganbench.ops.kernels", sizes=(64, 128, 256, 512))
def mmd_loss(n: int, d: int, dtype: torch.dtype, device: torch.device) -> Load:
    """MMD^2 of two batches under an RBF kernel, forward and backward to one of them."""
    from ganbench.ops.kernels import RBF, mmd2

    x = normal(n, d, dtype=dtype, device=device).requires_grad_()
    y = normal(n, d, dtype=dtype, device=device, seed=1)
    kernel = RBF((float(d) ** 0.5,))

    def call() -> None:
        torch.autograd.grad(mmd2(x, y, kernel), x)

    pairs = 3.0 * n * n
    # Three products forward; backward one for x y and two for x x.
    return Load(call, pairs, "pairs", 2.0 * (3 + 3) * n * n * d, 10.0 * n * n * x.element_size(), exps=pairs)


@case(10_000, 64, "ganbench.ops.sliced", ("float32", "float64"), (2500, 5000, 10_000, 20_000))
def projections_sort(n: int, d: int, dtype: torch.dtype, device: torch.device) -> Load:
    """Sliced Wasserstein on 64 lines: projections of two sets, sorted, their gaps summed."""
    from ganbench.ops.sliced import random_directions, sliced_wasserstein

    lines = 64
    x, y = (normal(n, d, dtype=dtype, device=device, seed=s) for s in (0, 1))
    directions = random_directions(lines, d, torch.Generator(device=device).manual_seed(0), dtype=dtype)

    def peer() -> object:
        a, b = ((v @ directions.T).sort(dim=0).values for v in (x, y))
        return (a - b).square().mean(0)

    return Load(
        lambda: sliced_wasserstein(x, y, directions), 2.0 * n * lines, "projections", 4.0 * n * d * lines,
        sorted=2.0 * n * lines, peer=peer, peer_name="torch.sort",
    )  # fmt: skip


@case(256, 64, "ganbench.ops.sliced", ("float32", "float64"), (128, 256, 512, 1024))
def sliced_loss(n: int, d: int, dtype: torch.dtype, device: torch.device) -> Load:
    """SW_2^2 of two batches on 64 lines, forward and backward."""
    from ganbench.ops.sliced import random_directions, sliced_wasserstein_loss

    lines = 64
    x = normal(n, d, dtype=dtype, device=device).requires_grad_()
    y = normal(n, d, dtype=dtype, device=device, seed=1)
    directions = random_directions(lines, d, torch.Generator(device=device).manual_seed(0), dtype=dtype)

    def call() -> None:
        torch.autograd.grad(sliced_wasserstein_loss(x, y, directions), x)

    return Load(call, 2.0 * n * lines, "projections", 6.0 * n * d * lines, sorted=2.0 * n * lines)


@case(500, 16, "ganbench.ops.assignment", ("float64",), (125, 250, 500, 1000))
def assignment(n: int, d: int, dtype: torch.dtype, device: torch.device) -> Load:
    """The optimal pairing of two sets under |x - y|, with its proof."""
    from scipy.optimize import linear_sum_assignment

    from ganbench.ops.assignment import cost_matrix, solve

    x, y = (normal(n, d, dtype=dtype, device=device, seed=s) for s in (0, 1))
    # A floor nobody reaches: every cost is computed and read once. The pivots in between have no such bound.
    return Load(
        lambda: solve(cost_matrix(x, y)), n * n, "costs", 3.0 * n * n * d, 2.0 * n * n * 8,
        peer=lambda: linear_sum_assignment(torch.cdist(x, y).cpu().numpy()), peer_name="scipy",
    )  # fmt: skip


@case(2000, 64, "ganbench.ops.closest_pairs", ("float32", "float64"), (500, 1000, 2000, 4000))
def closest_pairs(n: int, d: int, dtype: torch.dtype, device: torch.device) -> Load:
    """The 20 closest pairs of a set, exact: the birthday test's work."""
    from ganbench.ops.closest_pairs import closest_pairs as find

    x = normal(n, d, dtype=dtype, device=device)

    def peer() -> object:
        return torch.pdist(x).topk(20, largest=False)

    return Load(lambda: find(x, 20), n * n / 2, "pairs", 1.0 * n * n * d, peer=peer, peer_name="pdist, topk")


@case(64, 64, "ganbench.ops.jacobian", ("float32", "float64"), (16, 32, 64, 128))
def jacobian(n: int, d: int, dtype: torch.dtype, device: torch.device) -> Load:
    """Jacobians of a two-layer encoder 784 -> 256 -> d at each of n examples, and the gradient of their norm."""
    from ganbench.ops.jacobian import batched_jacobian

    hidden = 256
    net = torch.nn.Sequential(torch.nn.Linear(784, hidden), torch.nn.Sigmoid(), torch.nn.Linear(hidden, d))
    net.to(device, dtype)
    x = normal(n, 784, dtype=dtype, device=device)
    weights = [p for p in net.parameters() if p.ndim == 2]

    def call() -> None:
        torch.autograd.grad(batched_jacobian(net, x).square().sum(), weights)

    # n examples, d rows each through both layers; the gradient doubles every product again.
    products = 2.0 * n * d * (hidden * 784)
    return Load(call, n, "examples", 3 * products, 3.0 * n * d * 784 * x.element_size())


@case(64, 32, "ganbench.nn.masked", ("float32", "bfloat16"), (16, 32, 64, 128))
def masked_convolution(n: int, d: int, dtype: torch.dtype, device: torch.device) -> Load:
    """A convolution over seven pixels to the left, d channels on n images of 28 x 28, forward and backward."""
    from ganbench.nn.masked import LeftConv

    layer = LeftConv(d, d, 7).to(device, dtype)
    x = normal(n, d, 28, 28, dtype=dtype, device=device).requires_grad_()

    def call() -> None:
        torch.autograd.grad(layer(x).sum(), (x, layer.weight))

    products = 2.0 * n * 28 * 28 * d * d * 7
    return Load(call, n, "examples", 3 * products, 4.0 * x.numel() * x.element_size())


def training_step(model_name: str, dataset: str, iterations: int, device: torch.device) -> Load:
    """Some iterations of a registered model through the engine, going on where the last call stopped."""
    from ganbench.data import Split
    from ganbench.datasets.load import load
    from ganbench.engine.loop import train
    from ganbench.model import Budget
    from ganbench.model.make import make

    data = load(dataset)
    model = make(model_name, data.spec, seed=(model_name, dataset, 0)).to(device)
    split = Split(data.train.x, data.train.y).to(device)
    rng = torch.Generator(device=device).manual_seed(0)

    def call() -> None:
        train(model, split, Budget(iterations=iterations), rng)

    return Load(call, iterations, "iterations")


def untouched(device: torch.device) -> Load:
    """Work that stands in no source tree: a control on the machine itself."""
    x = normal(256, 256, dtype=torch.float32, device=device)
    return Load(lambda: torch.mm(x, x).exp().sum(), 1, "calls")


AB_TRAINING = {"train_gan_ns": ("gan_ns", "ring8", 5), "train_vae_gaussian": ("vae_gaussian", "digits", 5)}
UNTOUCHED = "untouched"


def ab_names() -> list[str]:
    """Cases of the A/B comparison that this source tree can run, the untouched control last."""
    return [*(n for n, c in CASES.items() if c.available), *AB_TRAINING, UNTOUCHED]


def ab_make(name: str, device: torch.device) -> Load:
    """A case of the A/B comparison at a quarter of its usual size."""
    if name == UNTOUCHED:
        return untouched(device)
    if name in AB_TRAINING:
        return training_step(*AB_TRAINING[name], device)
    c = CASES[name]
    return c.make(c.n // 4, c.d, DTYPES[c.dtypes[0]], device)


def serve(device: torch.device) -> None:
    """Answer orders on stdin, one JSON line each: make a case, or run it and say how long it took."""
    torch.set_num_threads(1)
    for module in ("ganbench.provenance.environment", "ganbench.environment"):  # where the tree has it
        with contextlib.suppress(ImportError):
            importlib.import_module(module).keep_freed_memory()  # as the processes that run jobs do
            break
    made: dict[str, Load] = {}
    print(json.dumps({"tree": str(sys.modules["ganbench"].__file__), "names": ab_names()}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        name, reply = order["name"], dict[str, Any]()
        try:
            if name not in made:
                made[name] = ab_make(name, device)
                made[name].call()
            readings = [_timed(made[name].call, order["count"], device) for _ in range(order["readings"])]
            # The least of a few readings: other programs only ever add to a time.
            reply = {"wall": min(r[0] for r in readings), "cpu": min(r[1] for r in readings)}
        except Exception as error:  # a tree that cannot do this work says so, and the others go on
            reply = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(reply), flush=True)


def _timed(call: Call, count: int, device: torch.device) -> tuple[float, float]:
    if device.type == "cuda":
        torch.cuda.synchronize()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count


if __name__ == "__main__":
    # An editable install would lend a tree the modules that it does not have.
    sys.meta_path[:] = [f for f in sys.meta_path if not getattr(f, "__module__", "").startswith("__editable__")]
    serve(torch.device(sys.argv[1]))
