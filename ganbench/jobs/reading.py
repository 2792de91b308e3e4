"""Reads records that anybody may have written: one typed parser, bounded in size, for boards and submissions alike."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from ganbench.errors import BadInput, in_one_line
from ganbench.jobs.records import Record, parse_record

MAX_FILE = 1 << 26  # bytes
MAX_LINE = 1 << 20  # characters
MAX_DEPTH = 12  # of nested lists and objects
MAX_TEXT = 1 << 14  # characters of one string
LONE = re.compile("[\ud800-\udfff]")  # surrogates, which are no text by themselves
HUGE = 1e100  # numbers are smaller: sums and squares of them stay finite


def record_files(folder: Path) -> list[Path]:
    """The files of a board's own records: records.jsonl, or records-ring8.jsonl and its like."""
    return sorted(folder.glob("records*.jsonl"))


def read_records(path: Path) -> list[Record]:
    """Every line of a committed results file. Raises `BadInput` naming file and line: a board has no torn records."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_FILE:
        raise BadInput(f"{path.name} must be a plain file below {MAX_FILE} bytes")
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")  # not splitlines(): U+2028 is a character of a string
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name} must be UTF-8: {error.reason} at byte {error.start}") from None
    records = []
    for number, line in enumerate(lines, 1):
        if not line and number == len(lines):
            continue
        try:
            records.append(read_record(line))
        except BadInput as error:
            raise BadInput(
                f"{path.name} line {number} is not a record: {in_one_line(error).removeprefix('not a record: ')}"
            ) from None
    return records


def read_record(line: str) -> Record:
    """One record whose values have the right types, bounded in size. Raises `BadInput`."""
    if len(line) > MAX_LINE:
        raise BadInput(f"a line is at most {MAX_LINE} characters long; got {len(line)}")
    try:
        raw = json.loads(line, object_pairs_hook=_once)
        _check_bounds(raw)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BadInput(f"{type(error).__name__}: {error}"[:300]) from None
    record = parse_record(line)
    if (value := record.plain()) != raw:
        field = next((k for k in raw if value.get(k) != raw[k]), "a field")
        raise BadInput(f"{field} has the wrong type")
    names = [m.name for m in record.metrics]
    if len(set(names)) < len(names):
        raise BadInput(f"each metric must appear once; got {', '.join(names)}")
    return record


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a JSON text; a second value under one name would hide the first."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name appears twice in one object")
    return found


def _check_bounds(value: Any) -> None:
    """Raises `ValueError` for what is nested too deeply, too long, too large or no text at all."""
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, dict):
            waiting += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            waiting += [(part, depth + 1) for part in item]
        elif isinstance(item, str):
            if len(item) > MAX_TEXT or (not item.isascii() and LONE.search(item)):
                raise ValueError(f"strings are Unicode text of at most {MAX_TEXT} characters")
        elif isinstance(item, int | float) and not (math.isfinite(item) and abs(item) < HUGE):
            raise ValueError(f"numbers must be finite and below {HUGE:g} in size")
        if depth > MAX_DEPTH:
            raise ValueError(f"values nest at most {MAX_DEPTH} levels deep")
