"""`ganbench selftest`: the table of known answers on this machine; ends with code 1 when a row fails."""

from __future__ import annotations

import dataclasses
import time

import typer

from ganbench.commands._common import LOOK, Json, print_json, print_table, say


def attach(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("selftest", rich_help_panel=LOOK)(selftest)


def selftest(as_json: Json = False) -> None:
    """Check every metric against inputs whose score is known, and against inputs it must refuse."""
    from ganbench.metrics.selftest import selftest as run

    start = time.perf_counter()
    rows = run()
    failed = [row for row in rows if not row.passed]
    if as_json:
        print_json({"rows": [dataclasses.asdict(row) for row in rows]})
    else:
        cells = [["pass" if r.passed else "FAIL", r.name, r.expected, r.got] for r in rows]
        print_table(["", "known answer", "expected", "got"], cells)
        say(f"{len(rows) - len(failed)} of {len(rows)} pass, {time.perf_counter() - start:.0f} s")
    if failed:
        raise typer.Exit(1)
