"""What verbs share: their options, and how they print."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from ganbench.errors import BadConfig
from ganbench.registry.variants import split_names as split_names

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
DataDir = Annotated[
    str | None,
    typer.Option("--data-dir", help="Where data sets lie, as torchvision lays them out [default: $GANBENCH_DATA]."),
]


def _registered(kind: str) -> Callable[[str], list[str]]:
    """Names of one kind that begin so, for shell completion; found without torch."""

    def beginning(incomplete: str) -> list[str]:
        from ganbench import registry

        names = [e.name + (":" if e.prefix else "") for e in getattr(registry, kind)]
        return [name for name in names if name.startswith(incomplete)]

    return beginning


of_models, of_datasets, of_metrics = map(_registered, ("MODELS", "DATASETS", "METRICS"))


def of_suites(incomplete: str) -> list[str]:
    """Names of suites that begin so."""
    from ganbench.jobs import suites

    return [name for name in suites.names() if name.startswith(incomplete)]


def of_anything(incomplete: str) -> list[str]:
    """What `describe` takes."""
    return [n for names in (of_models, of_datasets, of_metrics, of_suites) for n in names(incomplete)]


LOOK, WORK = "Look", "Work"  # panels of --help


def print_json(value: Any) -> None:
    """One strict-JSON document on stdout."""
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")  # a stream that would lose letters
    typer.echo(json.dumps(value, indent=1, allow_nan=False, ensure_ascii=plain))


def print_table(header: list[str], rows: Iterable[list[str]]) -> None:
    """A plain table on stdout, as wide as its text when it is piped."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for i, name in enumerate(header):
        table.add_column(name, no_wrap=i == 0, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def show_table(table: Any) -> None:
    """A `ganbench.report.table.Table` whose texts are long: folded, not cut."""
    from ganbench.report.table import lines, visible

    header, *rows = lines(table)
    console().print(visible(table.title), style="bold")
    print_table(header, rows)


def console() -> Any:
    """A rich console; output that is piped is not cut at 80 columns."""
    from rich.console import Console

    found = Console(highlight=False, markup=False, emoji=False)
    if not found.is_terminal:
        found.width = 200
    return found


def say(text: str) -> None:
    """A line for people, on stderr."""
    typer.echo(text, err=True)


def seconds(text: str, option: str) -> float:
    """`90`, `90s`, `30m`, `2h` or `1h30m` in seconds. Raises `BadConfig`."""
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", text.strip())
    if not match or not text.strip():
        raise BadConfig(f"{option} takes a duration such as 90s, 30m or 2h; got {text!r}")
    hours, minutes, rest = (float(g) if g else 0.0 for g in match.groups())
    return hours * 3600 + minutes * 60 + rest


def named_path(text: str | None) -> str | None:
    """A path that was given has a name. Raises `BadConfig`."""
    if text is not None and not text.strip():
        raise BadConfig("--out must name a file or folder; got an empty name (an unset variable?)")
    return text


def duration(s: float) -> str:
    """Seconds for people: 41 s, 3.5 min, 2.1 h."""
    return f"{s:.0f} s" if s < 120 else f"{s / 60:.1f} min" if s < 7200 else f"{s / 3600:.1f} h"
