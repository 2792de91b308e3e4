"""How a run ends: its tables on stdout, its summary files, its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ganbench.commands._common import console, duration, print_json, say, show_table
from ganbench.errors import BadInput, GanbenchError, MissingResource
from ganbench.jobs.records import STATUSES, Record
from ganbench.report import label_counts, published, tables
from ganbench.report.summary import as_data, beside_papers
from ganbench.report.table import to_terminal

BAD = ("failed", "diverged", "timeout", "oom")  # a run with one of these ends with code 3


def finish(root: Path, records: list[Record], outcome: Any, total: int, elapsed: float, as_json: bool) -> None:
    """Print the results and end with the exit code they deserve; see `raise_for`."""
    counts = {status: sum(r.status == status for r in outcome.records) for status in STATUSES}
    if as_json:
        print_json(
            {
                "run_dir": root.as_posix(),
                "jobs": {"total": total, **counts, "cached": outcome.cached, "pending": outcome.pending},
                "seconds": round(elapsed, 3),
                "interrupted": outcome.interrupted,
                **as_data(records),
            }
        )
    else:
        print_results(records)
        parts = [f"{n} {status}" for status, n in counts.items() if n]
        parts += [f"{outcome.cached} of these from before"] if outcome.cached else []
        parts += [f"{outcome.pending} not run"] if outcome.pending else []
        typer.echo(f"{', '.join(parts)}; {duration(elapsed)}; saved in {root.as_posix()}")
    if outcome.interrupted:
        say(f"interrupted: the same command with --out {root.as_posix()} goes on from here")
        raise typer.Exit(130)
    if outcome.pending:
        say(f"time limit reached: the same command with --out {root.as_posix()} goes on from here")
    raise_for(records, as_json)


def raise_for(records: list[Record], as_json: bool) -> None:
    """Code 3 when a job failed; when none could run, code 5 for want of data or weights, else 2: none applies."""
    if records and all(r.status == "skipped" for r in records):
        missing = [r for r in records if (r.error or {}).get("type") == "MissingResource"]
        error: GanbenchError = BadInput(f"no job applies: {records[0].reason}")
        if missing:
            error = MissingResource(missing[0].reason)
        if as_json:
            raise typer.Exit(error.exit_code)
        raise error
    if any(r.status in BAD for r in records):
        raise typer.Exit(3)


def print_results(records: list[Record]) -> None:
    """Tables on stdout, then what has no score and why."""
    out, made = console(), tables.pivot(records)
    for pivot in made:
        for part in to_terminal(tables.shown(pivot), out.width):
            out.print(part)
    if made:
        out.print(tables.NOTE + "\n", style="dim")
    by_labels = label_counts.tables(label_counts.curves(records))
    for found in by_labels:
        show_table(found)
    if by_labels:
        out.print(label_counts.NOTE + "\n", style="dim")
    if beside := beside_papers(records):
        show_table(published.table(beside))
        out.print(published.NOTE + "\n", style="dim")
    for line in tables.troubles(records):
        out.print(line, soft_wrap=True)
