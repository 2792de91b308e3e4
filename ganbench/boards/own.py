"""A board's own records: read from its files, and written there with those of runs put among them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from ganbench.boards.board import load_board
from ganbench.boards.standings import latest, standings
from ganbench.boards.submission import find_submissions
from ganbench.files import write_atomic
from ganbench.jobs.reading import read_records, record_files
from ganbench.jobs.records import Record
from ganbench.registry import MODELS

LARGEST = 1_900_000  # bytes of a file of records: of a board with more, each data set has a file
SLIM = ("artifacts", "error", "history", "not_applicable", "determinism")  # what a board's records do without


def own_records(folder: Path) -> list[Record]:
    """A board's own records; none where no file of them is. Raises `BadInput` for a file that is damaged."""
    return [record for path in record_files(folder) for record in read_records(path)]


def take(folder: Path, records: Iterable[Record]) -> tuple[int, int]:
    """Put records of runs on a board: those of its tasks and scale, a newer in place of an older one of the same seed.

    Returns how many were new and how many replaced others. The files are sorted: they differ only where records do.
    Raises `BadInput`, with nothing written, when the board cannot hold them.
    """
    board = load_board(folder)
    kept = {_place_of(r): r for r in own_records(folder)}
    new = replaced = 0
    for record in latest(records):
        if not board.admits(record.spec) or record.status == "skipped":
            continue
        before = kept.get(_place_of(record))
        new, replaced = new + (before is None), replaced + (before is not None and before.job_id != record.job_id)
        kept[_place_of(record)] = slim(record)
    standings(board, list(kept.values()), family_of, find_submissions(folder, board, list(kept.values())).submitted)
    files = as_files(kept.values())
    for name, text in files.items():
        write_atomic(folder / name, text)
    for path in record_files(folder):
        if path.name not in files:
            path.unlink()
    return new, replaced


def slim(record: Record) -> Record:
    """A record that was read, without what a board does not show."""
    kept = {k: v for k, v in record.plain().items() if k not in SLIM}
    metrics = [{k: v for k, v in m.items() if k != "extra"} for m in kept.get("metrics", ())]
    return Record.model_validate(kept | {"metrics": metrics})


def as_files(records: Iterable[Record]) -> dict[str, str]:
    """Names and texts of a board's files: a line for each row, data set, seed and scale, in that order."""
    kept = {_place_of(r): json.dumps(r.plain(), sort_keys=True, ensure_ascii=False) + "\n" for r in records}
    ordered = [(place[1], kept[place]) for place in sorted(kept)]
    if sum(len(line.encode()) for _, line in ordered) <= LARGEST:
        return {"records.jsonl": "".join(line for _, line in ordered)}
    names = {data: f"records-{re.sub('[^A-Za-z0-9_.-]+', '_', data)}.jsonl" for data, _ in ordered}
    return {n: "".join(line for data, line in ordered if names[data] == n) for n in sorted(names.values())}


def family_of(model: str) -> str:
    """The family a model is registered under; empty for a model that is not installed."""
    entry = MODELS.entries.get(model)
    return str(entry.family) if entry else "control" if model.startswith("control_") else ""


def _place_of(record: Record) -> tuple[str, str, int, str]:
    spec = record.spec
    return (spec.row, spec.dataset, spec.seed, spec.scale)
