"""Files that are whole or not there, opened without following links, and told from what systems leave behind."""

from __future__ import annotations

import json
import math
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ganbench.errors import BadInput

CLUTTER = ("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx")  # written by systems and archivers, asked by nobody
_WIDTH = {"BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "F16": 2, "BF16": 2, "I32": 4, "F32": 4, "I64": 8, "F64": 8}


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


@dataclass(frozen=True)
class TensorHeader:
    """Where one tensor lies in a .safetensors file."""

    dtype: str
    shape: tuple[int, ...]
    start: int  # byte in the file
    nbytes: int


def safetensors_header(path: Path, limit: int = 1 << 16) -> dict[str, TensorHeader]:
    """The tensors of a .safetensors file, checked against the file's size, read without its data. Raises `BadInput`."""
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(8)
        length = int.from_bytes(head, "little") if len(head) == 8 else -1
        if not 2 <= length <= min(limit, size - 8):
            raise BadInput(
                f"{path.name}: the header must take 2 to {min(limit, max(2, size - 8))} bytes; it says {length}"
            )
        try:
            raw = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{path.name}: the header is not JSON: {type(error).__name__}") from None
    if not isinstance(raw, dict):
        raise BadInput(f"{path.name}: the header must be a JSON object; got {type(raw).__name__}")
    raw.pop("__metadata__", None)
    found: dict[str, TensorHeader] = {}
    for name, entry in raw.items():
        try:
            dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
            wide = all(type(v) is int and v >= 0 for v in (*shape, begin, end)) and len(shape) <= 8
            if not wide or end - begin != math.prod(shape) * _WIDTH[dtype] or 8 + length + end > size:
                raise ValueError
        except (TypeError, KeyError, ValueError):
            raise BadInput(f"{path.name}: the header's entry {name[:60]!r} does not fit the file") from None
        found[name] = TensorHeader(dtype, shape, 8 + length + begin, end - begin)
    return found
