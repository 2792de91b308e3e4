"""Where boards and records lie: names on the command line to folders and files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ganbench.errors import BadInput, UnknownName

Root = Annotated[str, typer.Option("--boards", help="The folder that holds the boards.")]
ROOT = "leaderboards"


def board_folder(name: str, root: str = ROOT) -> Path:
    """A board by its name under `root`, or by the path of its folder. Raises `UnknownName`."""
    for folder in (Path(root) / name, Path(name)):
        if (folder / "board.toml").is_file():
            return folder
    raise UnknownName("board", name, [p.parent.name for p in Path(root).glob("*/board.toml")])


def board_folders(names: list[str] | None, root: str = ROOT) -> list[Path]:
    """The boards named, or all. Raises `UnknownName`, or `BadInput` when there is none at all."""
    found = (
        [board_folder(n, root) for n in names] if names else sorted(p.parent for p in Path(root).glob("*/board.toml"))
    )
    if not found:
        raise BadInput(f"no board in {Path(root).name!r}: a board is a folder with a board.toml")
    return found


def records_of(source: str) -> list[dict[str, Any]]:
    """Records of a run folder, a board's folder or name, or a .jsonl file. Raises `BadInput`."""
    from ganbench.boards.reading import read_records

    path = Path(source)
    if (path / "run.json").is_file():
        from ganbench.records import RunFolder

        return [r.model_dump(mode="json", by_alias=True) for r in RunFolder.open(path).records()]
    if path.is_file():
        return read_records(path)
    for file in (path / "records.jsonl", path / "results.jsonl", Path(ROOT) / source / "records.jsonl"):
        if file.is_file():
            return read_records(file)
    raise BadInput(f"{path.name!r} is no run folder, board or .jsonl file of records")
