"""`ganbench submit init|check|pack|add`: other people's results, checked and scored before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from ganbench.commands._boards import ROOT, Root, board_folder
from ganbench.commands._common import WORK, DataDir, Json, named_path, print_json
from ganbench.errors import BadInput

Folder = Annotated[str, typer.Argument(help="A folder with a submission.toml.")]
RunCode = Annotated[
    bool, typer.Option("--run-code", help="Train submitted code, with your rights and no sandbox; read it first.")
]


def attach(app: typer.Typer) -> None:
    """Add the verb group."""
    group = typer.Typer(help="Submissions: check, pack for a pull request, add to a board.", no_args_is_help=True)
    group.command("init")(init)
    group.command("check")(check)
    group.command("pack")(pack)
    group.command("add")(add)
    app.add_typer(group, name="submit", rich_help_panel=WORK)


def init(
    path: Annotated[str, typer.Argument(help="The new folder; its name goes on the board.")] = "my-gan",
    board: Annotated[str, typer.Option("--board", help="Name or folder of a board.")] = "digits",
    tier: Annotated[str, typer.Option("--tier", help="samples, weights, code or claim.")] = "samples",
    team: Annotated[str, typer.Option("--team", help="Who submits.")] = "My Team",
    root: Root = ROOT,
    as_json: Json = False,
) -> None:
    """Begin a submission: a new folder with a valid submission.toml."""
    from ganbench.boards import submit
    from ganbench.boards.board import load_board
    from ganbench.boards.submission import BADGES

    if tier not in BADGES:
        raise BadInput(f"a tier is one of {', '.join(BADGES)}; got {tier!r}")
    made = submit.init(Path(path), load_board(board_folder(board, root)), cast(Any, tier), team)
    if as_json:
        return print_json({"folder": Path(path).as_posix(), "files": [f.path for f in made.files]})
    typer.echo(f"wrote {Path(path).as_posix()}/submission.toml")
    for f in made.files:
        typer.echo(f"put seed {f.seed} of {f.dataset} into {Path(path).as_posix()}/{f.path}")
    return None


def check(
    folder: Folder, root: Root = ROOT, run_code: RunCode = False, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Run every check that acceptance runs, score, and write nothing."""
    from ganbench.boards import submit

    done = submit.check(Path(folder), _board(folder, root), data_dir=data_dir, run_code=run_code)
    _report(done, {}, as_json)


def pack(
    folder: Folder,
    out: Annotated[str, typer.Option("--out", callback=named_path, help="Where the new folder goes.")] = "packed",
    root: Root = ROOT,
    run_code: RunCode = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Check a submission and write the folder for a pull request."""
    from ganbench.boards import submit

    target = submit.pack(Path(folder), Path(out), _board(folder, root), data_dir=data_dir, run_code=run_code)
    if as_json:
        return print_json({"folder": target.as_posix()})
    typer.echo(f"wrote {target.as_posix()}; copy it to the board's submissions/ and open a pull request")
    return None


def add(
    folder: Folder, root: Root = ROOT, run_code: RunCode = False, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Check and score a submission, put it on its board, and rebuild the board."""
    from ganbench.boards import submit

    target = _board(folder, root, write=True)
    done = submit.add(Path(folder), target, data_dir=data_dir, run_code=run_code)
    _report(done, {"board": target.name}, as_json)


def _board(folder: str, root: str, *, write: bool = False) -> Path:
    """The board that the submission names."""
    from ganbench.boards.submission import read_submission

    return board_folder(read_submission(Path(folder)).board, root, write=write)


def _report(done: Any, more: dict[str, Any], as_json: bool) -> None:
    from ganbench.report.table import Measured

    submission, found, means = done.submission, done.measurement, done.means
    if as_json:
        return print_json(
            {
                "id": submission.id,
                "tier": submission.tier,
                "checks": found.passed,
                "flags": found.flags,
                "metrics": [
                    {"dataset": d, "name": m, "mean": e.mean, "low": e.low, "high": e.high, "n": e.n}
                    for (d, m), e in means.items()
                ],
                **more,
            }
        )
    for line in found.passed:
        typer.echo(f"ok    {line}")
    for line in found.flags:
        typer.echo(f"note  {line}")
    for (dataset, metric), e in means.items():
        typer.echo(f"{dataset}: {metric} = {Measured(e).text()}")
    typer.echo(f"{submission.id}: {'added to ' + more['board'] if more else 'accepted'}")
    return None
