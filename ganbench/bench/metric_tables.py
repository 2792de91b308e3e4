"""The table of `bench metrics`, for the terminal and as a page."""

from __future__ import annotations

from pathlib import Path

import torch
from tabulate import tabulate

from ganbench.bench.metrics import Result
from ganbench.provenance.environment import cpu_name


def write(path: Path, results: list[Result], command: str) -> None:
    """The table as a page, with what it ran on and the command that made it."""
    made = f"{cpu_name()}, {torch.get_num_threads()} thread(s), torch {torch.__version__.split('+')[0]}"
    head = """# Speed of metrics

Ours and what people use, the same value first, then turn by turn; seconds are medians, and a ratio has the least and
the largest of the turns beside it. Shares are of the matrix-product rate measured in the same run. The floor is what
the products, sorts and exponentials of the work take at this machine's rates; beside it is the ratio it would allow.
Scratch is what resident memory grew by.
"""
    path.write_text(f"{head}\nMade by `{command}` on {made}.\n\n{render(results)}\n", encoding="utf-8")


def render(results: list[Result]) -> str:
    """The table as Markdown."""
    rows = [
        [
            r.work,
            r.peer,
            f"{r.seconds:.3g}",
            "-" if r.peer_seconds is None else f"{r.peer_seconds:.3g}",
            "-" if r.ratio is None or r.ratios is None else f"{r.ratio:.1f}x ({r.ratios[0]:.1f}-{r.ratios[1]:.1f})",
            "-" if r.ceiling is None else f"{r.ceiling:.0%}",
            "-" if r.floor is None else f"{r.floor:.3g}",
            "-" if r.floor is None or r.peer_seconds is None else f"{r.peer_seconds / r.floor:.1f}x",
            "-" if r.scratch_mb is None else f"{r.scratch_mb:.0f}",
            r.target,
        ]
        for r in results
    ]
    head = ["work (float32, CPU)", "peer", "s", "peer s", "ratio", "of GEMM", "floor s", "at the floor", "scratch MB"]
    head.append("to reach")
    return str(tabulate(rows, head, tablefmt="github", disable_numparse=True))
