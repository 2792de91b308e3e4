"""Where boards and records lie: names on the command line to folders and files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganbench.errors import BadInput, UnknownName

if TYPE_CHECKING:
    from ganbench.jobs.records import Record


def of_boards(incomplete: str) -> list[str]:
    """Names of boards that begin so, for shell completion."""
    return [p.parent.name for p in _definitions(ROOT) if p.parent.name.startswith(incomplete)]


ROOT = "leaderboards"
INSTALLED = Path(__file__).resolve().parents[2] / ROOT  # beside the package: in a checkout, and in the wheel
Root = Annotated[str, typer.Option("--boards", help="The folder that holds the boards.")]


def board_folder(name: str, root: str = ROOT, *, write: bool = False) -> Path:
    """A board by its name under `root`, by the path of its folder, or, to be read, one that came with the package.

    Raises `UnknownName`, or `BadInput` for an installed board that would be written.
    """
    for folder in (Path(root) / name, Path(name)):
        if (folder / "board.toml").is_file():
            return folder
    installed = INSTALLED / name
    if root == ROOT and Path(name).name == name and (installed / "board.toml").is_file():
        if not write:
            return installed
        raise BadInput(
            f"no board {name!r} in {root}/ to write to; `ganbench leaderboard copy {name}` makes a copy of the "
            "installed one, or name the folder of a checkout's boards with --boards"
        )
    raise UnknownName("board", name, [p.parent.name for p in _definitions(root)])


def board_folders(names: list[str] | None, root: str = ROOT, *, write: bool = False) -> list[Path]:
    """The boards named, or all. Raises `UnknownName`, or `BadInput` when there is none at all."""
    found = (
        [board_folder(n, root, write=write) for n in names] if names else [p.parent for p in _definitions(root, write)]
    )
    if not found:
        raise BadInput(f"no board in {Path(root).name!r}: a board is a folder with a board.toml")
    return found


def _definitions(root: str, write: bool = False) -> list[Path]:
    here = sorted(Path(root).glob("*/board.toml"))
    return here or ([] if write or root != ROOT else sorted(INSTALLED.glob("*/board.toml")))


def records_of(source: str) -> list[Record]:
    """Records of a run folder, a board's folder or name, or a .jsonl file. Raises `BadInput`."""
    from ganbench.boards.own import own_records
    from ganbench.jobs.reading import read_records, record_files

    path = Path(source)
    if (path / "run.json").is_file():
        from ganbench.jobs.records import RunFolder

        return RunFolder.open(path).records()
    if path.is_file():
        return read_records(path)
    roots = [path, Path(ROOT) / source, *([INSTALLED / source] if path.name == source else [])]
    for folder in roots:
        if record_files(folder):
            return own_records(folder)
        if (folder / "results.jsonl").is_file():
            return read_records(folder / "results.jsonl")
    raise BadInput(f"{path.name!r} is not a run folder, a board or a .jsonl file of records")
