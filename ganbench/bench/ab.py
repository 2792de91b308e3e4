"""Two source trees side by side on one machine: three processes that take turns at the same work, A B C C B A.

C runs A's tree again: what it differs from A by is the machine's doing. The work itself is this tree's `workloads.py`,
loaded beside either tree.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from ganbench.bench import workloads
from ganbench.errors import MissingResource, UnknownName

READING = 0.008  # seconds that one reading should take
READINGS = 3  # of which a visit keeps the least


@dataclass(frozen=True)
class Round:
    """Log ratios of one round, by clock: B over A, and A's tree over itself."""

    change: dict[str, float]
    control: dict[str, float]


def clocks(device: str) -> tuple[str, ...]:
    """The clock that decides, and those that are looked at beside it."""
    return ("wall",) if device.startswith("cuda") else ("cpu", "wall")


def kernel_name() -> str:
    """The case that stands in neither tree."""
    return workloads.UNTOUCHED


class Pair:
    """The three processes; a context manager that ends them."""

    def __init__(self, a: Path, b: Path, device: str = "cpu") -> None:
        self.trees, self.device = {"A": a, "B": b, "C": a}, device
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.counts: dict[str, int] = {}
        self.errors: dict[str, str] = {}  # case -> why a tree could not run it

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()

    def start(self, names: Sequence[str] = ()) -> list[str]:
        """Start the processes; returns the cases both trees have. Raises `UnknownName`, or `MissingResource`."""
        script = Path(workloads.__file__)
        for key, tree in self.trees.items():
            environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
            self.processes[key] = subprocess.Popen(
                [sys.executable, "-P", str(script), self.device], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True, env=environment, cwd=tree,
            )  # fmt: skip
        shared: list[str] = []
        for key, tree in self.trees.items():
            hello = self._read(key)
            if not Path(hello["tree"]).is_relative_to(tree):
                raise MissingResource(f"revision {key} has no ganbench package of its own to time")
            shared = [n for n in shared or hello["names"] if n in hello["names"]]
        for name in names:
            if name not in shared:
                raise UnknownName("case of both revisions", name, shared)
        return [n for n in shared if not names or n in names or n == kernel_name()]

    def round(self, name: str) -> Round | None:
        """One round of a case; None where a tree cannot run it, with the reason in `errors`."""
        if name not in self.counts:
            for key in self.trees:  # makes the case everywhere; a second call is past every first-time cost
                if self._visit(key, name, 1, 1) is None:
                    return None
            took = self._visit("A", name, 1, 3)
            if took is None:
                return None
            self.counts[name] = max(1, min(1000, round(READING / max(took[clocks(self.device)[0]], 1e-6))))
        times: dict[str, list[dict[str, float]]] = {k: [] for k in self.trees}
        for key in "ABCCBA":
            took = self._visit(key, name, self.counts[name], READINGS)
            if took is None:
                return None
            times[key].append(took)

        def log_ratio(key: str, clock: str) -> float:
            over, under = times[key], times["A"]
            gaps = [math.log(x[clock] / y[clock]) for x, y in zip(over, under, strict=True)]
            return sum(gaps) / len(gaps)

        used = clocks(self.device)
        return Round({c: log_ratio("B", c) for c in used}, {c: log_ratio("C", c) for c in used})

    def _visit(self, key: str, name: str, count: int, readings: int) -> dict[str, float] | None:
        stdin = self.processes[key].stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps({"name": name, "count": count, "readings": readings}) + "\n")
            stdin.flush()
        except BrokenPipeError:
            raise MissingResource(f"the process of revision {key} died in {name}") from None
        reply = self._read(key)
        if "error" in reply:
            self.errors[name] = f"cannot be run by revision {'A' if key == 'C' else key}: {reply['error']}"
            return None
        return {clock: max(float(reply[clock]), 1e-9) for clock in ("wall", "cpu")}

    def _read(self, key: str) -> dict[str, Any]:
        stdout: IO[str] | None = self.processes[key].stdout
        assert stdout is not None
        while line := stdout.readline():
            if line.startswith("{"):  # what user code prints is not ours
                found: dict[str, Any] = json.loads(line)
                return found
        raise MissingResource(f"the process of revision {key} ended: this revision does not run here")
