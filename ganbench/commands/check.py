"""`ganbench check`: the regression gate for CI; a verdict per thing it looked at, and an exit code that says why."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ganbench.commands._common import WORK, Json, print_json, print_table, say, split_names
from ganbench.errors import BadConfig, UnknownName


def attach(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("check", rich_help_panel=WORK)(check)


def check(
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", "-b", help="Revision, run folder or records.jsonl [default: what is stored here]."),
    ] = None,
    quality: Annotated[bool, typer.Option("--quality", help="Golden values, fingerprints, seeded training.")] = False,
    speed: Annotated[bool, typer.Option("--speed", help="Kernels and training steps against the baseline.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Layers of --quality: golden, fingerprint, training.")
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Write new stored values instead of checking.")] = False,
    workers: Annotated[int | None, typer.Option("--jobs", "-j", help="Worker processes.", min=1, max=256)] = None,
    as_json: Json = False,
) -> None:
    """Compare with a baseline: 0 as good, 1 a regression, 4 cannot tell, 5 nothing to compare with or on."""
    from ganbench.gates import quality as gate
    from ganbench.gates.verdict import exit_code
    from ganbench.jobs.executors.local import default_workers

    layers = split_names(only) or list(gate.LAYERS)
    for layer in layers:
        if layer not in gate.LAYERS:
            raise UnknownName("layer", layer, gate.LAYERS)
    count = workers or default_workers()
    if update:
        if speed or baseline:
            raise BadConfig("--update writes the stored values of --quality; leave out --speed and --baseline")
        written = gate.update(layers, workers=count, say=say)
        return print_json({"written": written}) if as_json else typer.echo("\n".join(written))
    if not quality and not speed:
        raise BadConfig("nothing to check: give --quality, --speed or both")
    if speed and baseline is None:
        raise BadConfig("--speed compares two revisions: name the other one with --baseline")
    verdicts = gate.check(baseline, layers, workers=count, say=say) if quality else []
    if speed:
        from ganbench.gates import speed as speed_gate

        verdicts += speed_gate.check(str(baseline), say=say)
    code = exit_code(verdicts)
    if as_json:
        print_json({"exit_code": code, "verdicts": [v.as_data() for v in verdicts]})
    else:
        print_verdicts(verdicts)
    if code:
        raise typer.Exit(code)
    return None


def print_verdicts(verdicts: list[Any]) -> None:
    """What is not plainly ok, one line each, and the count of the rest; the training layer in full."""
    shown = [v for v in verdicts if v.outcome != "ok" or v.gate in ("training", "speed")]
    if shown:
        header = ["gate", "what", "verdict", "worse by", "detectable", "why"]
        print_table(header, [[v.gate, v.name, v.outcome, *_numbers(v), v.reason] for v in shown])
    counts = {o: sum(v.outcome == o for v in verdicts) for o in dict.fromkeys(v.outcome for v in verdicts)}
    typer.echo(", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items())))


def _numbers(v: Any) -> list[str]:
    return [f"{v.numbers[k]:+.3g}" if k in v.numbers else "" for k in ("worse_by", "detectable")]
