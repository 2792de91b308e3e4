"""Reading samples that somebody else wrote (.npz, .npy, .safetensors, a folder of images) and trusting none of it.

Nothing is unpickled and nothing is extracted. Headers are parsed here, with limits, before anything is allocated; the
array must have the size that the data set and n demand, so memory is bounded by what a valid file would take.
"""

from __future__ import annotations

import ast
import hashlib
import math
import os
import stat
import struct
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganbench.data import DataSpec, check_domain, check_pixels
from ganbench.datasets.array import name_of_events
from ganbench.datasets.layout import find_pictures
from ganbench.datasets.pictures import Framing, read_pictures
from ganbench.errors import BadInput
from ganbench.files import open_plain, safetensors_header

Array = NDArray[Any]
SUFFIXES = (".npz", ".npy", ".safetensors")
MAX_BYTES = 1 << 31  # of one array
MAX_HEADER = 1 << 16  # .npy and .safetensors headers, zip directories
MAX_ROWS = 1_000_000
_NPY = {"|u1": "u1", "<u1": "u1"} | {f"{order}f{size}": f"{order}f{size}" for order in "<>" for size in (2, 4, 8)}
_SAFETENSORS = {"U8": "u1", "F16": "<f2", "F32": "<f4", "F64": "<f8"}


def read_samples(path: Path, spec: DataSpec, n: int | None = None, framing: Framing | None = None) -> Tensor:
    """Samples as float32 events in the data's domain: -> (N, *E), N = n where n is given.

    Images may be uint8 pixels 0..255 or floats in the domain, channels first or last, or (N, H, W) grey; vectors are
    floats (N, D). `framing` brings a folder's pictures to one size. Raises `BadInput` that names the file, what it must
    hold and what it holds.
    """
    mode = _lstat(path).st_mode
    if stat.S_ISDIR(mode):
        return to_events(_read_folder(path, spec, n, framing), spec, path.name)
    if not stat.S_ISREG(mode):
        raise BadInput(f"{path.name} must be a plain file or folder; links, pipes and devices are not followed")
    readers = {".npz": _read_npz, ".npy": _read_npy_file, ".safetensors": _read_safetensors}
    if path.suffix not in readers:
        raise BadInput(
            f"{path.name}: samples come as {', '.join(SUFFIXES)} or a folder of PNG or JPEG; save them as one of these"
        )
    try:
        array = readers[path.suffix](path, spec, n)
    except BadInput:
        raise
    except (OSError, EOFError, ValueError, KeyError, struct.error, zipfile.BadZipFile, MemoryError) as error:
        raise _unreadable(path, error) from None
    except Exception as error:  # zlib.error, NotImplementedError, RecursionError: whatever damage makes readers raise
        raise _unreadable(path, error) from None
    return to_events(array, spec, path.name)


def to_events(array: Array, spec: DataSpec, name: str) -> Tensor:
    """Raw pixels or floats of the right shape as float32 in the domain. Raises `BadInput`, also for mixed-up scales."""
    if array.dtype == np.uint8:
        if spec.domain != (-1, 1):
            raise BadInput(f"{name} must hold floats for {spec.name}; got uint8, which is for images")
        if array.size:
            check_pixels(int(array.max()), name)
        return torch.from_numpy(np.ascontiguousarray(array)).float().div_(127.5).sub_(1)
    flat = array.reshape(len(array), -1)
    bad = ~np.isfinite(flat).all(1)
    if bad.any():
        raise BadInput(f"{name} must be finite; row {int(bad.argmax())} of {len(flat)} holds NaN or infinity")
    low, high = float(array.min()), float(array.max())
    if max(-low, high) > float(np.finfo(np.float32).max):
        raise BadInput(f"{name} must fit float32; got values up to {max(-low, high):.3g}")
    if spec.domain is not None:
        check_domain(low, high, spec.domain, name, spec.is_image)
    x = torch.from_numpy(np.ascontiguousarray(array.astype(np.float32)))
    return x if spec.domain is None else x.clamp_(*spec.domain)


def file_sha256(path: Path) -> str:
    """sha256 of a file, or of the names and hashes of a folder's files, read in blocks."""
    digest = hashlib.sha256()
    if stat.S_ISDIR(_lstat(path).st_mode):
        for child in sorted(path.iterdir()):
            digest.update(f"{child.name}\0{file_sha256(child)}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()
    with open_plain(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def expected_shapes(spec: DataSpec) -> list[tuple[int, ...]]:
    """Event shapes a file may use: the data's own, channels last, and without the channel for grey images."""
    own = spec.event_shape
    if not spec.is_image:
        return [own]
    c, h, w = own
    return [own, (h, w, c), *([(h, w)] if c == 1 else [])]


def _check_shape(shape: tuple[int, ...], itemsize: int, spec: DataSpec, n: int | None, name: str) -> None:
    rows = shape[0] if shape else 0
    wanted = f"(N, {', '.join(map(str, spec.event_shape))})"
    if len(shape) < 2 or shape[1:] not in expected_shapes(spec):
        raise BadInput(f"{name} must hold events of {spec.name}, shape {wanted}; got {shape}")
    if n is not None and rows != n:
        raise BadInput(f"{name} must hold n = {n} samples; got {rows}")
    if not 1 <= rows <= MAX_ROWS or math.prod(shape) * itemsize > MAX_BYTES:
        raise BadInput(f"{name} must hold 1 to {MAX_ROWS} samples below {MAX_BYTES} bytes; got shape {shape}")


def _shaped(flat: Array, shape: tuple[int, ...], fortran: bool, spec: DataSpec) -> Array:
    array = flat.reshape(shape, order="F" if fortran else "C")
    if array.shape[1:] == spec.event_shape:
        return array
    if array.ndim == 3:
        return array[:, None]
    return array.transpose(0, 3, 1, 2)


def _read_npy_file(path: Path, spec: DataSpec, n: int | None) -> Array:
    with open_plain(path) as file:
        return _read_npy(file, path.name, spec, n)


def _read_npy(file: IO[bytes], name: str, spec: DataSpec, n: int | None) -> Array:
    """One .npy stream: header, exactly the bytes that it announces, and nothing after them."""
    magic = file.read(8)
    if len(magic) < 8 or magic[:6] != b"\x93NUMPY" or magic[6] not in (1, 2, 3):
        raise BadInput(f"{name} is not a .npy array: wrong first bytes")
    width = 2 if magic[6] == 1 else 4
    length = int.from_bytes(file.read(width), "little")
    if length > MAX_HEADER:
        raise BadInput(f"{name}: the header must be below {MAX_HEADER} bytes; it says {length}")
    try:
        header = ast.literal_eval(file.read(length).decode("latin1"))
        descr, fortran, shape = header["descr"], header["fortran_order"], header["shape"]
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError):
        raise BadInput(f"{name}: the header is not that of an array") from None
    if not isinstance(descr, str) or descr not in _NPY:
        kind = "Python objects, which would need pickle" if "O" in str(descr) else f"dtype {descr!r:.60}"
        raise BadInput(f"{name} must hold uint8 or float numbers; got {kind}")
    if not isinstance(shape, tuple) or not all(type(v) is int and v >= 0 for v in shape) or type(fortran) is not bool:
        raise BadInput(f"{name}: the header's shape {shape!r:.60} is none")
    dtype = np.dtype(_NPY[descr])
    _check_shape(shape, dtype.itemsize, spec, n, name)
    flat = _fill(file, math.prod(shape), dtype, name)
    if file.read(1):
        raise BadInput(f"{name} holds bytes after its array")
    return _shaped(flat, shape, fortran, spec)


def _fill(file: IO[bytes], count: int, dtype: np.dtype[Any], name: str) -> Array:
    """`count` numbers from a stream, in blocks, into one array of that size."""
    out = np.empty(count, dtype)
    view, done = out.view(np.uint8), 0
    while done < len(view):
        block = file.read(min(1 << 20, len(view) - done))
        if not block:
            raise BadInput(f"{name} ends after {done} of {len(view)} bytes")
        view[done : done + len(block)] = np.frombuffer(block, np.uint8)
        done += len(block)
    return out


def _read_npz(path: Path, spec: DataSpec, n: int | None) -> Array:
    with open_plain(path) as file:
        check_directory(file, path.name)
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            for m in members:
                link = stat.S_ISLNK(m.external_attr >> 16)
                if "/" in m.filename or "\\" in m.filename or ".." in m.filename or ":" in m.filename or link:
                    raise BadInput(f"{path.name}: member {m.filename[:60]!r} must be a plain name ending in .npy")
                if m.flag_bits & 0x1 or m.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise BadInput(f"{path.name}: members must be stored or deflated, not encrypted")
            names = [m.filename.removesuffix(".npy") for m in members]
            chosen = members[names.index(name_of_events(names, path.name))]
            ceiling = _ceiling(spec, n)
            if chosen.file_size > ceiling:
                raise BadInput(f"{path.name} unpacks to {chosen.file_size} bytes; {spec.name} needs at most {ceiling}")
            with archive.open(chosen) as member:
                return _read_npy(member, f"{path.name}/{chosen.filename}", spec, n)


def check_directory(file: IO[bytes], name: str) -> None:
    """Refuse a zip whose directory is huge or in the 64-bit form before `zipfile` reads it into memory."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - MAX_HEADER - 42))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        raise BadInput(f"{name} is not a zip archive")
    entries, directory = struct.unpack_from("<HI", tail, at + 10)
    if entries > 64 or directory > MAX_HEADER or tail[max(0, at - 20) : at].startswith(b"PK\x06\x07"):
        raise BadInput(f"{name} must be a plain .npz with one array; its directory lists {entries} members")
    file.seek(0)


def _ceiling(spec: DataSpec, n: int | None) -> int:
    """Bytes a valid .npy member may take."""
    return min(MAX_BYTES, (n or MAX_ROWS) * spec.n_dims * 8) + MAX_HEADER + 12


def _read_safetensors(path: Path, spec: DataSpec, n: int | None) -> Array:
    header = safetensors_header(path)
    tensor = header[name_of_events(header, path.name)]
    if tensor.dtype not in _SAFETENSORS:
        raise BadInput(f"{path.name} must hold U8, F16, F32 or F64; got {tensor.dtype}")
    dtype = np.dtype(_SAFETENSORS[tensor.dtype])
    _check_shape(tensor.shape, dtype.itemsize, spec, n, path.name)
    with open_plain(path) as file:
        file.seek(tensor.start)
        return _shaped(_fill(file, math.prod(tensor.shape), dtype, path.name), tensor.shape, False, spec)


def _read_folder(folder: Path, spec: DataSpec, n: int | None, framing: Framing | None) -> Array:
    """All pictures of a folder: -> (N, *E) uint8."""
    if not spec.is_image:
        raise BadInput(f"{folder.name} is a folder of pictures; {spec.name} holds vectors: send .npz or .npy")
    c, h, w = spec.event_shape
    paths = find_pictures(folder).dealt()
    if len(paths) != (n or len(paths)):
        raise BadInput(f"{folder.name} must hold n = {n} pictures; got {len(paths)}")
    if len(paths) > MAX_ROWS or len(paths) * spec.n_dims > MAX_BYTES:
        raise BadInput(
            f"{folder.name} must hold at most {MAX_ROWS} pictures and {MAX_BYTES} bytes of pixels; got {len(paths)}"
        )
    return read_pictures(paths, folder, (spec.name, (c, h, w)), framing)


def _lstat(path: Path) -> os.stat_result:
    try:
        return path.lstat()
    except (OSError, ValueError):
        raise BadInput(f"no file {path.name!r}; check the path") from None


def _unreadable(path: Path, error: Exception) -> BadInput:
    return BadInput(f"{path.name} is not a readable {path.suffix} file: {type(error).__name__}; write it again")
