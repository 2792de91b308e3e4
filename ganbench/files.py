"""Files that are whole or not there, opened without following links, and told from what systems leave behind."""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path
from typing import IO, Any

from ganbench.errors import BadInput

CLUTTER = ("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx")  # written by systems and archivers, asked by nobody


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write a whole file or none of it: temporary file, fsync, rename. Raises `OSError`, leaving `path` as it was."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:  # an interruption too
        temporary.unlink(missing_ok=True)
        raise


def open_plain(path: Path) -> IO[bytes]:
    """Open a plain file for reading; a link put in its place is not followed. Raises `BadInput`."""
    try:
        mode = path.lstat().st_mode
    except (OSError, ValueError):
        raise BadInput(f"no file {path.name!r}; check the path") from None
    if not stat.S_ISREG(mode):
        raise BadInput(f"{path.name} must be a plain file; links, pipes and devices are not followed")
    return os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)), "rb")


def is_clutter(name: str) -> bool:
    """True for hidden files and for those that systems leave in folders of pictures."""
    return name.startswith(".") or name.lower() in CLUTTER


def finite(value: Any) -> Any:
    """JSON-ready copy of nested data: NaN and infinities become None, tuples lists, numpy and torch numbers floats."""
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "tolist"):
        return finite(value.tolist())
    return str(value)
