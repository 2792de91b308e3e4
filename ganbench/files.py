"""Files: whole or not there, opened without following links, told from what systems leave behind, hashed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from platformdirs import user_cache_path

from ganbench.errors import BadInput

CLUTTER = ("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx")  # written by systems and archivers, asked by nobody
SETTLED = 2 * 10**9  # nanoseconds; a file written since may change again without a new time stamp
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


def contents_sha256(path: Path) -> str:
    """sha256 over the bytes of a file, or over names and bytes of all files of a folder but hidden ones.

    Kept in the user's cache under a hash of inodes, sizes and times, so that unchanged data is listed and not read.
    Raises `BadInput` where there is nothing, or it cannot be read.
    """
    try:
        found = sorted(_files(path)) if path.is_dir() else [("", path.stat())]
        stamps = [(s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for _, s in found]
        names = [name for name, _ in found]
        note = _notes() / hashlib.sha256(repr((names, stamps)).encode("utf-8", "surrogateescape")).hexdigest()
        known = _noted(note)
        if known:
            return known
        digest = hashlib.sha256()
        for name in names:
            with (path / name).open("rb") as file:
                inner = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{name}\0{inner}\n".encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read: {error.strerror}") from None
    newest = max((max(s.st_mtime_ns, s.st_ctime_ns) for _, s in found), default=0)
    if newest < time.time_ns() - SETTLED:
        with contextlib.suppress(OSError):  # a cache that cannot be written is none
            note.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(note, digest.hexdigest())
    return digest.hexdigest()


def _files(folder: Path, prefix: str = "") -> list[tuple[str, os.stat_result]]:
    """Relative names and stamps of all visible files below a folder; folders that are links are not entered."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_clutter(entry.name):
                continue
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                found += _files(Path(entry.path), f"{name}/")
            elif entry.is_file():
                found.append((name, entry.stat()))
    return found


def _notes() -> Path:
    return user_cache_path("ganbench", appauthor=False) / "contents"


def _noted(note: Path) -> str:
    """What an earlier look found, or nothing."""
    try:
        known = note.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
    return known if len(known) == 64 else ""
