"""How time and memory of every kernel and metric grow with rows and dimensions: writes docs/growth.md and its plot.

    python docs/scripts/growth.py [SECONDS]

Rows are doubled until a call takes SECONDS of one core (`LONG` where none are said), the last four sizes are fitted on
log-log axes, and then three numbers of dimensions at a quarter of the largest size. A metric is covered when all that
it asks for is in `SETS`.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from scipy import stats
from tabulate import tabulate
from torch import Tensor

from ganbench.bench.workloads import CASES, DTYPES, normal
from ganbench.data import Mixture
from ganbench.metrics.frechet import INCEPTION
from ganbench.ops.sinkhorn import sinkhorn_divergence
from ganbench.provenance.environment import cpu_name, scratch
from ganbench.registry import METRICS

PAGE = Path(__file__).resolve().parents[1] / "growth.md"
PLOT = PAGE.parent / "images" / "growth.svg"
LONG = 0.3  # seconds of a call after which rows are doubled no more
MOST = 1 << 17  # rows at most
SIZES = 4  # that are fitted
BASE = 64  # dimensions of events, and classes of posteriors
FACTORS = (0.25, 0.5, 1.0)  # of the dimensions
TOLD = 4 << 20  # bytes of scratch below which its growth is not told: pages that the process holds hide it
MILLION, ROOM = 1e6, 24e9  # rows, and bytes that a large card has
LABELS = 2  # classes, of which `class_frechet` wants more rows than dimensions
SIDE = 32  # pixels of images, for metrics of images alone

STROKES = ("-", "--", ":", "-.")

Call = Callable[[], object]

# What a metric may ask for: n events or features of d numbers, n posteriors of d classes, and what goes with them.
SETS = {
    "samples", "reference", "holdout", "train", "features", "reference_features", "train_features", "probs",
    "reference_probs", "sample_labels", "train_labels", "test_labels", "mixture", "space", "rng",
}  # fmt: skip
ALL: dict[str, dict[str, Any]] = {  # options under which a metric looks at all rows
    "birthday": {"n": 1 << 30}, "modes": {"n": 1 << 30}, "wasserstein": {"n": None},
}  # fmt: skip
INSTEAD: dict[str, dict[str, Any]] = {"mmd": {"estimator": "block"}, "kid": {"full": False}, "wasserstein": {"n": 2000}}
IMAGES = ("lp_swd",)  # metrics that take nothing but images: their dimensions stay


@dataclass(frozen=True)
class Subject:
    """A kernel or a metric as calls of any number of rows and dimensions."""

    name: str
    make: Callable[[int, int], Call]
    start: int = 250
    d: int = BASE
    over_d: bool = True


@dataclass(frozen=True)
class Reading:
    """One call."""

    n: int
    d: int
    seconds: float
    scratch: int | None  # bytes that resident memory grew by; None where the system does not tell


@dataclass(frozen=True)
class Fit:
    """y = c x^exponent, by least squares of the logarithms; `half` of Student's 95 % interval."""

    exponent: float
    half: float
    c: float

    def at(self, x: float) -> float:
        return self.c * x**self.exponent

    def __str__(self) -> str:
        return f"{self.exponent:.2f} ± {self.half:.2f}"


@dataclass(frozen=True)
class Growth:
    """What was read of a subject; fits are None where too little was."""

    name: str
    over_n: Sequence[Reading]
    over_d: Sequence[Reading] = field(default_factory=list)

    @property
    def largest(self) -> Reading:
        return self.over_n[-1]

    @property
    def in_n(self) -> Fit:
        return fit([r.n for r in self.over_n], [r.seconds for r in self.over_n])

    @property
    def in_d(self) -> Fit | None:
        return fit([r.d for r in self.over_d], [r.seconds for r in self.over_d]) if self.over_d else None

    @property
    def scratch_in_n(self) -> Fit | None:
        told = [(r.n, r.scratch) for r in self.over_n if r.scratch is not None and r.scratch >= TOLD]
        return fit(*zip(*told, strict=True)) if len(told) >= 3 else None  # type: ignore[arg-type]

    @property
    def bytes_at_a_million(self) -> float | None:
        """By the fit; what was read where all of it is too little to tell; None where there is no saying."""
        if self.scratch_in_n is not None:
            return self.scratch_in_n.at(MILLION)
        last = self.largest.scratch
        return last if last is not None and last < TOLD else None


def fit(sizes: Sequence[float], values: Sequence[float]) -> Fit:
    """The power law through at least three points."""
    line = stats.linregress([math.log(s) for s in sizes], [math.log(v) for v in values])
    error = 0.0 if len(set(values)) == 1 else float(line.stderr)  # of a constant it is 0 / 0 there
    half = float(stats.t.ppf(0.975, len(sizes) - 2)) * error
    return Fit(float(line.slope), half, math.exp(line.intercept))


def kernels() -> Iterator[Subject]:
    """Every case of `bench kernels`, in its first precision."""
    for case in CASES.values():
        dtype = DTYPES[case.dtypes[0]]

        def make(n: int, d: int, case: Any = case, dtype: torch.dtype = dtype) -> Call:
            call: Call = case.make(n, d, dtype, torch.device("cpu")).call
            return call

        yield Subject(case.name, make, case.sizes[0], case.d)

    def sinkhorn(n: int, d: int) -> Call:
        x, y = (normal(n, d, dtype=torch.float32, device=torch.device("cpu"), seed=s) for s in (0, 1))
        return lambda: sinkhorn_divergence(x, y, epsilon=float(d))

    yield Subject("sinkhorn_divergence", sinkhorn, start=64)


def metrics() -> Iterator[Subject]:
    """Every registered metric of plain sets at all rows, and the forms of three that are cheaper."""
    for entry in METRICS:
        if set(entry.needs) <= SETS:
            yield _metric(entry.name, ALL.get(entry.name, {}))
            if entry.name in INSTEAD:
                yield _metric(entry.name, INSTEAD[entry.name], shown=True)


def _metric(name: str, options: dict[str, Any], shown: bool = False) -> Subject:
    entry = METRICS.get(name)
    label = name + "".join(f"[{k}={v}]" for k, v in options.items() if shown)

    def make(n: int, d: int) -> Call:
        function = entry.load()
        given = {need: inputs(need, n, d, image=name in IMAGES) for need in entry.needs if need != "rng"}

        def call() -> None:
            draws = {"rng": torch.Generator().manual_seed(0)} if "rng" in entry.needs else {}
            function(**given, **draws, **options)

        return call

    if name in IMAGES:
        return Subject(label, make, start=4, over_d=False)
    return Subject(label, make)


def inputs(need: str, n: int, d: int, image: bool = False) -> Any:
    """What a metric asks for under this name, made up: sets that differ a little, every label as often."""
    rng = torch.Generator().manual_seed(sum(map(ord, need)))
    if need == "space":
        return INCEPTION  # `fid` insists
    if need == "mixture":
        return Mixture(4 * torch.randn(8, d, generator=rng), 1.0)
    if need.endswith("labels"):
        return torch.arange(n) % LABELS
    if need.endswith("probs"):
        return torch.softmax(2 * torch.randn(n, d, generator=rng), 1)
    x: Tensor = torch.randn(n, *((1, SIDE, SIDE) if image else (d,)), generator=rng)
    return x.tanh() if image else x.mul_(1.05 if need in ("samples", "features") else 1.0)


def grow(subject: Subject, long: float = LONG) -> Growth:
    """Read a subject over rows, then over dimensions."""
    over_n = [read(subject, subject.start, subject.d, long / 4)]
    while len(over_n) < SIZES or (over_n[-1].seconds < long and 2 * over_n[-1].n <= MOST):
        over_n.append(read(subject, 2 * over_n[-1].n, subject.d, long / 4))
    over_n = over_n[-SIZES:]
    over_d = []
    if subject.over_d:
        n = over_n[-3].n
        over_d = [read(subject, n, round(factor * subject.d), long / 4) for factor in FACTORS]
    return Growth(subject.name, over_n, over_d)


def read(subject: Subject, n: int, d: int, seconds: float) -> Reading:
    """Processor time of one call, the least over `seconds` after a first that tells the memory."""
    call = subject.make(n, d)
    with scratch() as grown:
        call()
    times: list[float] = []
    while not times or (sum(times) < seconds and len(times) < 50):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return Reading(n, d, min(times), grown.get("bytes"))


HEADER = ("rows", "s", "MB", "s ~ rows^", "s ~ dims^", "MB ~ rows^", "a million rows", "scratch", "in 24 GB")


def row(g: Growth) -> list[str]:
    """A line of the table."""
    last, memory = g.largest, g.bytes_at_a_million
    cells = [f"`{g.name}`", f"{last.n:,}", f"{last.seconds:.2g}"]
    cells += ["–" if last.scratch is None else f"{last.scratch / 1e6:.0f}"]
    cells += [str(g.in_n), str(g.in_d or "–"), str(g.scratch_in_n or "–"), duration(g.in_n.at(MILLION))]
    return cells + (["–", "–"] if memory is None else [size(memory), "yes" if memory <= ROOM else "no"])


def duration(seconds: float) -> str:
    """Seconds for people."""
    for unit, length in (("years", 365.25 * 86400), ("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.2g} {unit}" if seconds < 100 * length else f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.2g} s"


def size(count: float) -> str:
    """Bytes for people."""
    for unit, length in (("TB", 1e12), ("GB", 1e9)):
        if count >= length:
            return f"{count / length:,.2g} {unit}" if count < 100 * length else f"{count / length:,.0f} {unit}"
    return f"{count / 1e6:.0f} MB"


def page(of_kernels: Sequence[Growth], of_metrics: Sequence[Growth], made_on: str, long: float = LONG) -> str:
    """The page."""
    by_name = {g.name: g for g in (*of_kernels, *of_metrics)}

    def costs(name: str) -> str:
        g = by_name[name]
        memory = g.bytes_at_a_million
        return f"`{name}` {duration(g.in_n.at(MILLION))}" + ("" if memory is None else f" and {size(memory)}")

    tables = (
        tabulate([row(g) for g in found], [what, *HEADER], tablefmt="github", disable_numparse=True)
        for what, found in (("kernel", of_kernels), ("metric", of_metrics))
    )
    as_they_are = [
        f"`{g.name}`"
        for g in of_metrics
        if g.in_n.exponent < 1.25 and "[" not in g.name and (g.bytes_at_a_million or 0) <= ROOM
    ]
    return TEXT.format(
        made_on=made_on, long=f"{long:g}", most=f"{MOST:,}", sizes=SIZES, dims=f"{BASE // 4}, {BASE // 2} and {BASE}",
        told=TOLD >> 20, kernels=next(tables), metrics=next(tables), base=BASE, plot=PLOT.name,
        set_gb=f"{MILLION * BASE * 4 / 1e9:.2g}", drawn=f"{INSTEAD['wasserstein']['n']:,}",
        block=costs("mmd[estimator=block]"), mmd=costs("mmd"), kid=costs("kid"), kid_alone=costs("kid[full=False]"),
        drawn_w=costs("wasserstein[n=2000]"), w=costs("wasserstein"), sinkhorn=costs("sinkhorn_divergence"),
        as_they_are=", ".join(as_they_are),
    )  # fmt: skip


TEXT = """# Growth

How time and memory grow with rows and dimensions. Made by `python docs/scripts/growth.py {long}` on
{made_on}.

Seconds are processor time of one call, the least of a few. The rows of every set are doubled until a call takes
{long} s or they are {most}. Exponents are slopes on log-log axes over the last {sizes} sizes, with Student's 95 %
interval of the fit, which holds noise and curvature alike. Dimensions are {dims} (of kernels a quarter, a
half and all of their own) at a quarter of the most rows; three sizes leave a wide interval. MB are what resident memory
grew by in a call, beyond its inputs; below {told} MB it is not fitted. The last three columns go by the fits, far
beyond what was run: they are orders of magnitude.

## Kernels

{kernels}

Rows are those of each set, examples of `jacobian`, images of `masked_convolution`, whose dimensions are channels. In
the first precision of `ganbench bench kernels`.

## Metrics

{metrics}

Dimensions are those of events or features, or the classes of posteriors. `wasserstein`, `birthday` and `modes` look at
all rows here; by default they draw 2,000 or 2,500. A set of a million rows of {base} numbers takes {set_gb} GB itself.

![time and scratch over rows](images/{plot})

## At a million rows

- MMD: {block}, its standard error from the spread of blocks; over all pairs {mmd}. KID likewise:
  {kid_alone}; with its full value {kid}.
- Exact W: {drawn_w}, of {drawn} events drawn from each side, with its standard error; read it beside its floor, for it
  is that of {drawn} events. Of all rows {w}.
- Sinkhorn divergence: {sinkhorn}, for its matrices are dense. Take the mean over subsets of some thousand rows, its
  error from their spread: it nears its limit with the root of the rows in any dimension (Genevay et al. 2019,
  arXiv:1810.02733), as exact W does not.
- As they are: {as_they_are}.
"""


def plot(path: Path, of_kernels: Sequence[Growth], of_metrics: Sequence[Growth]) -> None:
    """Seconds over rows, and scratch, in a file that is the same for the same numbers."""
    figure = Figure(figsize=(11, 9), layout="constrained")
    axes = figure.subplots(2, 2)
    for column, (title, found) in enumerate((("kernels", of_kernels), ("metrics", of_metrics))):
        for i, g in enumerate(found):
            look: Any = {"marker": "o", "ms": 2.5, "lw": 1, "color": f"C{i % 10}", "ls": STROKES[i // 10 % 4]}
            axes[0, column].loglog([r.n for r in g.over_n], [r.seconds for r in g.over_n], label=g.name, **look)
            told = [(r.n, r.scratch / 1e6) for r in g.over_n if r.scratch is not None and r.scratch >= TOLD]
            if told:
                axes[1, column].loglog(*zip(*told, strict=True), **look)
        axes[0, column].set(title=title, ylabel="seconds")
        axes[1, column].set(xlabel="rows", ylabel="MB of scratch")
        axes[0, column].legend(fontsize=5.5, ncols=2)
    with mpl.rc_context({"svg.hashsalt": "ganbench", "svg.fonttype": "none"}):
        figure.savefig(path, format="svg", metadata={"Date": None})


def main(long: float = LONG) -> None:
    """Measure everything on one thread, then write page and plot."""
    torch.set_num_threads(1)
    found: list[list[Growth]] = []
    for subjects in (kernels(), metrics()):
        found.append([])
        for subject in subjects:
            start = time.perf_counter()
            found[-1].append(grow(subject, long))
            print(f"{subject.name}: {time.perf_counter() - start:.1f} s", flush=True)
    made_on = f"{cpu_name()}, one thread, torch {torch.__version__.split('+')[0]}"
    plot(PLOT, *found)
    PAGE.write_text(page(*found, made_on, long), encoding="utf-8")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
