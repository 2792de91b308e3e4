"""Progress on stderr: a live display on a terminal, lines anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ganbench.jobs.records import Record
from ganbench.jobs.spec import Job

SILENCE = 60.0  # seconds after which a log names the running jobs
Watcher = Any  # finished(record, cached), tick(running)


@contextmanager
def watch(jobs: Sequence[Job], workers: int) -> Iterator[Watcher]:
    """The watcher that suits stderr."""
    if sys.stderr.isatty():
        with Live(len(jobs), workers) as live:
            yield live
    else:
        yield Lines(len(jobs))


class Lines:
    """One line per finished job; after a minute without any, one per running job."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.said = total, 0, time.monotonic()

    def finished(self, record: Record, cached: bool) -> None:
        """Count cached jobs silently; print the others."""
        self.done, self.said = self.done + 1, time.monotonic()
        if not cached and record.status != "skipped":
            print(f"[{self.done}/{self.total}] {line(record)}", file=sys.stderr, flush=True)

    def tick(self, running: list[dict[str, Any]]) -> None:
        """Say what the workers are at when nothing was said for a minute."""
        if time.monotonic() - self.said >= SILENCE:
            self.said = time.monotonic()
            for state in running:
                print(f"[{self.done}/{self.total}] {standing(state)}", file=sys.stderr, flush=True)


class Live:
    """A bar over jobs, what each worker is at, and the time left."""

    def __init__(self, total: int, workers: int) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self.total, self.workers, self.done, self.failed = total, workers, 0, 0
        self.start, self.fresh, self.running = time.monotonic(), 0, list[dict[str, Any]]()
        self.view = RichLive(
            console=Console(stderr=True), refresh_per_second=5, transient=True, get_renderable=self.draw
        )

    def __enter__(self) -> Live:
        self.view.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        self.view.__exit__(*details)

    def finished(self, record: Record, cached: bool) -> None:
        """Count it, and say what went wrong."""
        self.done += 1
        self.fresh += not cached and record.status != "skipped"
        if record.status not in ("ok", "skipped"):
            self.failed += 1
            self.view.console.print(line(record), style="red", markup=False, highlight=False)

    def tick(self, running: list[dict[str, Any]]) -> None:
        """Remember what the workers are at."""
        self.running = running

    def draw(self) -> Any:
        """Bar, counts and time left; below it one line per worker."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        part = self.done + sum(state.get("share", 0.0) for state in self.running)
        head = Table.grid(padding=(0, 1))
        text = f"{self.failed} failed · " if self.failed else ""
        head.add_row(
            f"[{self.done}/{self.total}]", ProgressBar(self.total, part, width=36), Text(f"{text}{self.left(part)}")
        )
        lines = [Text(f"  {standing(state)}", style="dim", no_wrap=True, overflow="ellipsis") for state in self.running]
        return Group(head, *lines)

    def left(self, part: float) -> str:
        """Time left at the pace so far."""
        fresh = part - (self.done - self.fresh)
        spent = time.monotonic() - self.start
        if fresh < 0.2:
            return f"{spent:.0f} s so far"
        rest = (self.total - part) * spent / fresh
        return f"{rest:.0f} s left" if rest < 120 else f"{rest / 60:.0f} min left"


def standing(state: dict[str, Any]) -> str:
    """Where a running job is, in one line."""
    return f"{state['job']}  iteration {state['iteration']:,} ({state['share']:.0%}), {state['rate']:,.0f} it/s"


def line(record: Record) -> str:
    """A finished job in one line."""
    wall = record.timing.get("wall_s")
    spent = f" {wall:.1f} s" if wall is not None else ""
    reason = f": {record.reason}" if record.reason else ""
    return f"{record.status} {record.spec.label}{spent}{reason}"
