"""`ganbench test path/to/mine.py:Mine`: whether a model keeps the contract, fact by fact; ends with code 3 if not."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Annotated

import typer

from ganbench.commands._common import WORK, Json, print_json, say, split_names

if TYPE_CHECKING:
    from ganbench.gates.contract.check import Verdict

FAILED = 3


def attach(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("test", rich_help_panel=WORK)(contract)


def contract(
    model: Annotated[str, typer.Argument(help="path/to/file.py:Class, or a registered name.")],
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            "-d",
            help="Kinds of tiny random data: vector, image8, image28, image32; repeat for more "
            "[default: those that the model registered for, without image32].",
        ),
    ] = None,
    limit: Annotated[float, typer.Option("--limit", help="Seconds for one fact.", min=1.0)] = 120.0,
    as_json: Json = False,
) -> None:
    """Check that a model keeps the contract: shapes, seeds, checkpoints, whom a turn moves, what it says it can do."""
    from ganbench.gates.contract.check import check

    verdicts: list[Verdict] = []
    start = time.perf_counter()
    for verdict in check(model, split_names(dataset), limit):
        verdicts.append(verdict)
        if not as_json:
            for line in lines(verdict):
                typer.echo(line)
    failed = sum(v.status == "failed" for v in verdicts)
    if as_json:
        print_json({"model": model, "failed": failed, "facts": [dataclasses.asdict(v) for v in verdicts]})
    else:
        passed = sum(v.status == "passed" for v in verdicts)
        rest = len(verdicts) - passed - failed
        say(f"{passed} passed, {failed} failed, {rest} not applicable, {time.perf_counter() - start:.0f} s")
    if failed:
        raise typer.Exit(FAILED)


def lines(verdict: Verdict) -> list[str]:
    """A verdict for people: one line, and what must hold, what was received and what to try below one that failed."""
    status = "FAILED" if verdict.status == "failed" else verdict.status
    head = f"{status:14}  {verdict.dataset:7}  {verdict.fact}"
    if verdict.status == "not applicable":
        return [f"{head}: {verdict.got}"]
    found = (("must hold", verdict.must), ("received", verdict.got), ("try", verdict.cure))
    return [head, *(f"{'':25}  {label + ':':10} {text}" for label, text in found if text)]
