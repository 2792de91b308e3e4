"""`ganbench leaderboard build|show|verify`: boards from their files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ganbench.commands._boards import ROOT, Root, board_folder, board_folders, of_boards, records_of
from ganbench.commands._common import LOOK, DataDir, Json, print_json
from ganbench.errors import BadInput

Boards = Annotated[
    list[str] | None, typer.Argument(help="Names or folders of boards [default: all].", autocompletion=of_boards)
]
FORMATS = {"md": "README.md", "csv": "board.csv", "json": "board.json", "tex": "board.tex", "html": "board.html"}


def attach(app: typer.Typer) -> None:
    """Add the verb group."""
    group = typer.Typer(help="Boards: build their pages, show them, check them.", no_args_is_help=True)
    group.command("build")(build)
    group.command("show")(show)
    group.command("verify")(verify)
    group.command("stale")(stale)
    group.command("copy")(copy)
    app.add_typer(group, name="leaderboard", rich_help_panel=LOOK)


def build(
    boards: Boards = None,
    source: Annotated[
        list[str] | None, typer.Option("--from", help="First add the records of this run folder or .jsonl file.")
    ] = None,
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="Also write board.html, board.json or board.tex.")
    ] = None,
    root: Root = ROOT,
    as_json: Json = False,
) -> None:
    """Write README.md and board.csv of each board from its records and submissions."""
    from ganbench.boards import build as pages
    from ganbench.boards.own import take
    from ganbench.boards.pages import draw_label_curves, take_pictures, take_published
    from ganbench.files import write_atomic

    chosen = _formats(formats)
    report: list[dict[str, Any]] = []
    for folder in board_folders(boards, root, write=True):
        taken = {"new": 0, "replaced": 0}
        for one in source or []:
            new, replaced = take(folder, records_of(one))
            taken = {"new": taken["new"] + new, "replaced": taken["replaced"] + replaced}
            if (Path(one) / "run.json").is_file():
                take_pictures(folder, Path(one))
        if source:
            take_published(folder)
        built = pages.write(folder)
        draw_label_curves(folder)
        for form in chosen:
            write_atomic(folder / FORMATS[form], _text(built, folder, form))
        ranked = sum(s.rank is not None for s in built.standings)
        files = ["README.md", "board.csv", *(FORMATS[f] for f in chosen)]
        line = {"id": built.board.id, "rows": len(built.standings), "ranked": ranked, "files": files, **taken}
        report.append(line | {"warnings": list(built.warnings)})
        for warning in built.warnings:
            typer.echo(f"warning: {built.board.id}: {warning}", err=True)
        if not as_json:
            found = f"took {taken['new']} new records, {taken['replaced']} in place of others; " if source else ""
            rows = f"{len(built.standings)} rows, {ranked} ranked"
            typer.echo(f"{built.board.id}: {found}{rows}; wrote {', '.join(files)}")
    if as_json:
        print_json({"boards": report})


def show(
    board: Annotated[str, typer.Argument(help="Name or folder of a board.", autocompletion=of_boards)],
    form: Annotated[str, typer.Option("--format", help="md, csv, json, tex or html.")] = "md",
    root: Root = ROOT,
    as_json: Json = False,
) -> None:
    """Print a board as its records stand now; writes nothing."""
    from ganbench.boards import build as pages

    folder = board_folder(board, root)
    (form,) = _formats(["json" if as_json else form]) or [form]
    typer.echo(_text(pages.build(folder), folder, form), nl=False)


def verify(
    boards: Boards = None,
    rescore: Annotated[bool, typer.Option(help="Score every submission again.")] = True,
    run_code: Annotated[
        bool, typer.Option("--run-code", help="Also retrain submitted code, with your rights and no sandbox.")
    ] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Also train the board's own models again, if their code is still today's.")
    ] = False,
    data_dir: DataDir = None,
    root: Root = ROOT,
    as_json: Json = False,
) -> None:
    """Check whole boards from their files; ends with code 2 when something does not hold."""
    from ganbench.boards.verify import verify as check_board

    found = {
        folder.name: check_board(folder, rescore=rescore, retrain=retrain, data_dir=data_dir, run_code=run_code)
        for folder in board_folders(boards, root)
    }
    wrong = sum(not f.passed for findings in found.values() for f in findings)
    document = {"ok": not wrong, "boards": {name: [vars(f) for f in findings] for name, findings in found.items()}}
    if not as_json:
        for name, findings in found.items():
            for f in findings:
                typer.echo(f"{'ok  ' if f.passed else 'BAD '} {name}: {f.what}{': ' if f.reason else ''}{f.reason}")
    elif not wrong:
        print_json(document)
    if wrong:
        error = BadInput(f"{wrong} findings: the boards do not hold what they say")
        error.document = document
        raise error


def stale(boards: Boards = None, root: Root = ROOT, as_json: Json = False) -> None:
    """List the rows that were trained by another version of their model than today's."""
    from ganbench.boards import build as pages

    found = {f.name: pages.stale_rows(pages.build(f).standings) for f in board_folders(boards, root)}
    total = sum(map(len, found.values()))
    if as_json:
        return print_json({"total": total, "boards": {name: [vars(r) for r in rows] for name, rows in found.items()}})
    for name, rows in found.items():
        for r in rows:
            typer.echo(f"{name}: {r.row} on {r.task}: v{r.was}, now v{r.now}")
    typer.echo(", ".join([*(f"{name} {len(rows)}" for name, rows in found.items()), f"total {total}"]))
    return None


def copy(boards: Boards = None, root: Root = ROOT, as_json: Json = False) -> None:
    """Copy boards of the installed package here, to see a row of yours on them."""
    import shutil

    from ganbench.commands._boards import INSTALLED
    from ganbench.jobs.reading import record_files

    made = []
    for source in board_folders(boards, str(INSTALLED)):
        target = Path(root) / source.name
        if target.exists():
            raise BadInput(f"{target.as_posix()} is there already; remove it, or name another folder with --boards")
        target.mkdir(parents=True)
        for path in (source / "board.toml", *record_files(source)):
            shutil.copyfile(path, target / path.name)
        made.append(target.as_posix())
    if as_json:
        return print_json({"folders": made})
    for name in made:
        typer.echo(f"wrote {name}")
    return None


def _formats(formats: list[str] | None) -> list[str]:
    chosen = [f for text in formats or [] for f in text.split(",")]
    for f in chosen:
        if f not in FORMATS:
            raise BadInput(f"a format is one of {', '.join(FORMATS)}; got {f!r}")
    return list(dict.fromkeys(chosen))


def _text(built: Any, folder: Path, form: str) -> str:
    """A board in one form."""
    import json

    from ganbench.boards import build as pages
    from ganbench.report.table import render, to_dict

    if form == "html":
        from ganbench.boards.html import page
        from ganbench.boards.pages import board_page

        return page(board_page(folder))
    if form == "json":
        board = built.board
        value = {"id": board.id, "title": board.title, "protocol": board.protocol, "scale": board.scale}
        return json.dumps(value | {"tables": [to_dict(t) for t in built.tables]}, indent=1, ensure_ascii=False) + "\n"
    if form == "tex":
        return "\n".join(render(t, "tex") for t in built.tables)
    return pages.files(built)[FORMATS[form]]
