"""What a user's own file or folder holds, as one hash: names and bytes, read again only where something was touched."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

from platformdirs import user_cache_path

from ganbench.errors import BadInput
from ganbench.files import is_clutter, write_atomic

SETTLED = 2 * 10**9  # nanoseconds; a file written since may change again without a new time stamp


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
