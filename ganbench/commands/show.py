"""`ganbench show RUN`: the tables of a run again, while it goes on or after."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ganbench.commands._common import LOOK, Json, print_json, print_table
from ganbench.errors import BadInput, UnknownName

FORMS: Final = ("md", "csv", "tex", "html")


def attach(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("show", rich_help_panel=LOOK)(show)


def show(
    run: Annotated[str, typer.Argument(help="A run folder.")],
    jobs: Annotated[bool, typer.Option("--jobs", help="One line per job instead of the tables.")] = False,
    job: Annotated[
        str | None, typer.Option("--job", help="Everything about one job: its id, or the start of it.")
    ] = None,
    form: Annotated[str | None, typer.Option("--format", help="The tables as md, csv, tex or html.")] = None,
    as_json: Json = False,
) -> None:
    """The tables of a run, what has no score and why; ends with code 3 when a job failed."""
    from ganbench.commands import _results
    from ganbench.jobs.records import STATUSES, RunFolder
    from ganbench.report import tables
    from ganbench.report.summary import as_data
    from ganbench.report.table import render

    if form not in (None, *FORMS):
        raise BadInput(f"a format is one of {', '.join(FORMS)}; got {form!r}")

    folder = RunFolder.open(Path(run))
    records = folder.records()
    manifest = folder.manifest
    if job is not None:
        found = [r for r in records if r.job_id.startswith(job)]
        if len(found) != 1:
            raise UnknownName("job", job, [r.job_id[:12] for r in found or records])
        return print_json(found[0].model_dump(mode="json", by_alias=True))
    counts: dict[str, int] = {status: sum(r.status == status for r in records) for status in STATUSES}
    total = len(manifest.get("jobs") or records)
    if as_json:
        print_json(
            {
                "run_dir": Path(run).as_posix(),
                "request": manifest["request"],
                "jobs": {"total": total, **counts, "pending": total - len(records)},
                **as_data(records),
                "records": [_brief(r) for r in records],
            }
        )
    elif jobs:
        header = ["job", "model", "data set", "seed", "status", "wall s", "reason"]
        print_table(header, [[str(v) for v in _brief(r).values()] for r in records])
    elif form is not None:
        made = map(tables.shown, tables.pivot(records))
        typer.echo("\n".join(render(t, form) for t in made), nl=False)  # type: ignore[arg-type]  # one of FORMS
    else:
        _results.print_results(records)
        parts = [f"{n} {status}" for status, n in counts.items() if n]
        parts += [f"{total - len(records)} not run yet"] if total > len(records) else []
        typer.echo(", ".join(parts) or "no job has ended yet")
    if any(counts[status] for status in _results.BAD):
        raise typer.Exit(3)
    return None


def _brief(record: Any) -> dict[str, Any]:
    return {
        "job_id": record.job_id[:12],
        "model": record.spec.row,
        "dataset": record.spec.dataset,
        "seed": record.spec.seed,
        "status": record.status,
        "wall_s": record.timing.get("wall_s", 0.0),
        "reason": record.reason or "",
    }
