"""Benchmark results as tables for the terminal, as CSV, and as the page of a device class."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from ganbench.bench.ceilings import Ceilings, device_class
from ganbench.bench.kernels import Row, Scaling
from ganbench.bench.train import Row as TrainRow
from ganbench.bench.usual import Row as UsualRow
from ganbench.files import write_atomic

Table = tuple[list[str], list[list[str]]]

# Why a kernel stays below half of its ceiling, printed beside it on the device's page. Shares are of the processor time
# of one call, operation by operation, in float32 unless said otherwise.
WHY = {
    "pairwise_tiles": (
        "70 % goes into the products themselves, at full rate; the rest centres rows, sums norms in float64 and "
        "extends copies by them"
    ),
    "pairwise_loss": (
        "57 % goes into three products with an inner or outer side of 64, which torch.mm forms at 43 GFLOP/s; 30 % "
        "into nine passes of autograd over the dense matrix, 47 operations in all"
    ),
    "mmd_sums": (
        "products (33 %) and exponentials (30 %) run near their rates, but diagonal tiles are computed in full: 10 "
        "million pairs where 8 are counted; clamping, scaling, squaring and row sums pass over each tile (18 %)"
    ),
    "mmd_loss": (
        "122 small operations: a third goes into six products of 256 x 64 x 256 at 90 GFLOP/s, 9 % into exponentials,"
        " the rest into passes of autograd over 256 x 256 matrices"
    ),
    "projections_sort": (
        "sorting takes half, at 540 M/s where sixteen rows that fit the cache reach 620; a fifth goes into products, "
        "a quarter into centring, the float64 mean and laying projections out row by row"
    ),
    "sliced_loss": (
        "40 % goes into two argsorts: carrying the permutation for the gradient costs seven bare sorts; 33 small "
        "operations make the rest"
    ),
    "assignment": (
        "the floor is one look at every cost; 45 % of the float64 time are pivots of three sparse network simplexes, "
        "which have no such bound, and a fifth finds the nearest 16 of every point"
    ),
    "closest_pairs": (
        "the floor is one product, a tenth of the time; 45 % lists, gathers and sorts the pairs below the bound, and "
        "they are decided in float64"
    ),
    "jacobian": (
        "81 % goes into three products of 4096 x 256 x 784, which torch.mm forms at 97 GFLOP/s, half of what oneDNN "
        "reaches; seven passes over the 13 MB of Jacobians make a tenth"
    ),
    "masked_convolution": (
        "95 % is spent inside the library's convolutions with 32 channels: 143 GFLOP/s forward and 139 backward, in "
        "bfloat16 211 and 193"
    ),
}
WHERE = "an AMD EPYC core with AVX-512"  # where the shares and rates of `WHY` were counted


def ceilings_text(best: Ceilings) -> str:
    """The ceilings in one line."""
    products = ", ".join(f"{k} {v / 1e9:.0f}" for k, v in best.gemm.items())
    return (
        f"{best.device}, {best.threads} thread(s): products {products} GFLOP/s; copy {best.copy / 1e9:.1f} GB/s; "
        f"sort {best.sort['float32'] / 1e6:.0f} M/s; exp {best.exp['float32'] / 1e6:.0f} M/s"
    )


def kernel_rows(rows: Sequence[Row]) -> Table:
    """Kernels for people."""
    header = ["kernel", "dtype", "n", "d", "median ms", "spread", "rate", "GB/s", "GFLOP/s", "of ceiling", "peer", "x"]
    return header, [
        [
            r.kernel, r.dtype, str(r.n), str(r.d), f"{r.median_s * 1e3:.3g}", f"{r.spread:.0%}",
            f"{r.items_per_s:.3g} {r.unit}/s", f"{r.gb_per_s:.2g}", f"{r.gflop_per_s:.3g}", f"{r.ceiling:.0%}",
            r.peer, "" if r.peer_ratio is None else f"{r.peer_ratio:.2f}",
        ]
        for r in rows
    ]  # fmt: skip


def scaling_rows(lines: Sequence[Scaling]) -> Table:
    """Times over n with the fitted exponent."""
    header = ["kernel", "n", "ms", "t ~ n^"]
    return header, [
        [s.kernel, " ".join(map(str, s.sizes)), " ".join(f"{t * 1e3:.3g}" for t in s.seconds), f"{s.exponent:.2f}"]
        for s in lines
    ]


def train_rows(rows: Sequence[TrainRow]) -> Table:
    """Training rates for people."""
    header = ["model", "data set", "iterations/s", "examples/s", "GFLOP/s", "of GEMM", "x plain loop", "rounds"]
    header += ["bare", "rounds", ""]
    out = []
    for r in rows:
        if r.reason or r.plain_ratio is None:
            out.append([r.model, r.dataset, *[""] * 8, r.reason])
            continue
        rates = [f"{r.iterations_per_s:.4g}", f"{r.examples_per_s:.4g}", f"{r.gflop_per_s:.3g}", f"{r.ceiling:.0%}"]
        rates += [f"{r.plain_ratio:.2f}", f"{r.lowest:.2f}-{r.highest:.2f}"]
        rates += [f"{r.bare_ratio:.3f}", f"{r.bare_lowest:.3f}-{r.bare_highest:.3f}"] if r.bare_ratio else ["", ""]
        out.append([r.model, r.dataset, *rates, ""])
    return header, out


def usual_rows(rows: Sequence[UsualRow]) -> Table:
    """The usual script and the engine for people."""
    header = ["way", "examples/s", "x script", "rounds", "of GEMM"]
    return header, [
        [
            r.way, f"{r.examples_per_s:.0f}", f"{r.ratio:.2f}", f"{r.lowest:.2f}-{r.highest:.2f}",
            "" if r.ceiling is None else f"{r.ceiling:.0%}",
        ]
        for r in rows
    ]  # fmt: skip


def write_kernels(
    folder: Path, best: Ceilings, rows: Sequence[Row], lines: Sequence[Scaling], device: str, clock: str
) -> list[Path]:
    """`<device class>.csv`, a plot over n and the README over all device classes in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    name = device_class(device)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(asdict(rows[0])), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in asdict(row).items()})
    csv_path, page = folder / f"{name}.csv", folder / f"{name}.md"
    write_atomic(csv_path, text.getvalue())
    parts = [
        f"# {best.device}\n",
        f"{ceilings_text(best)}. Torch {torch.__version__}, {'processor' if clock == 'cpu' else 'wall'} time.\n",
        _markdown(kernel_rows(rows)),
        "Share of the ceiling: the least time the products, the traffic, the sorts and the exponentials of a call "
        "could take at these rates, over its median time. x: the peer's time over ours, in the same run.\n",
        "## Below half of the ceiling\n",
        f"Shares of one call's time and rates in this list were counted on {WHERE}, operation by operation.\n",
        "\n".join(_reasons(rows)) + "\n",
        "## Over n\n",
        _markdown(scaling_rows(lines)),
        f"![time over n]({name}.svg)\n",
    ]
    write_atomic(page, "\n".join(parts))
    plot = folder / f"{name}.svg"
    _plot(plot, lines)
    readme = folder / "README.md"
    pages = "\n".join(f"- [{p.stem}]({p.name}), [{p.stem}.csv]({p.stem}.csv)" for p in sorted(folder.glob("*-*.md")))
    write_atomic(
        readme,
        "# Kernels by device class\n\nMade by `ganbench bench kernels --scaling --write` on each device; rates of "
        f"different classes are not ranked against each other.\n\n{pages}\n",
    )
    return [csv_path, page, plot, readme]


def _reasons(rows: Sequence[Row]) -> list[str]:
    low: dict[str, float] = {}
    for r in rows:
        if r.ceiling < 0.5:
            low[r.kernel] = min(r.ceiling, low.get(r.kernel, 1.0))
    return [f"- `{k}` ({v:.0%}): {WHY.get(k, 'small calls, whose overhead counts')}." for k, v in low.items()]


def _markdown(table: Table) -> str:
    from tabulate import tabulate

    text: str = tabulate(table[1], table[0], tablefmt="github", disable_numparse=True)
    return text + "\n"


def _plot(path: Path, lines: Sequence[Scaling]) -> None:
    """Time over n on log-log axes, in a file that is the same for the same numbers."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    for line in lines:
        axes.loglog(line.sizes, [t * 1e3 for t in line.seconds], marker="o", ms=3, label=line.kernel)
    axes.set(xlabel="n", ylabel="ms")
    axes.legend(fontsize=7)
    with mpl.rc_context({"svg.hashsalt": "ganbench"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
