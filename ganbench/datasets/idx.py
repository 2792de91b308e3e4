"""MNIST's file format: two zero bytes, 0x08 for uint8, the number of axes, big-endian sizes, then the bytes.

A file is believed only where header, length and contents are what the data set must have; plain and .gz alike.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganbench.errors import BadInput

What = Literal["pixels", "labels"]
CLASSES = 10  # labels run from 0 to 9
TYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}


def find_idx(path: Path) -> Path | None:
    """The file, or else the .gz that it is published as; None where neither is there."""
    packed = path.with_name(f"{path.name}.gz")
    return path if path.is_file() else packed if packed.is_file() else None


def read_idx(path: Path, what: What, shape: tuple[int, ...]) -> Tensor:
    """The uint8 array of the given shape that `path`, or its .gz, must hold; labels hold 0 to 9, each of them.

    Raises `BadInput` that names the file, what it must hold, and what it holds. No more than that is ever read.
    """
    found = find_idx(path)
    if found is None:
        raise BadInput(f"no file {path.name!r}; check the path")
    must = f"{found.name} must hold {what} of shape {shape}"
    try:
        with gzip.GzipFile(found) if found.suffix == ".gz" else found.open("rb") as file:
            data = _body(file, must, shape)
    except (OSError, EOFError, zlib.error) as error:  # a damaged .gz
        raise BadInput(f"{must}; it cannot be read: {type(error).__name__}; fetch it again") from None
    if what == "labels":
        labels = np.unique(data).tolist()
        if labels != list(range(CLASSES)):
            some = ", ".join(map(str, labels[:12])) + (", ..." if len(labels) > 12 else "")
            raise BadInput(f"{must}, each of 0 to {CLASSES - 1} among them; it holds {some}; fetch it again")
    return torch.from_numpy(data)


def _body(file: BinaryIO | gzip.GzipFile, must: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The array after a header that announces `shape`, with nothing behind it."""
    head = file.read(4)
    if head[:2] == b"\x1f\x8b":
        raise BadInput(f"{must}; it is packed by gzip: unpack it, or add .gz to its name")
    if len(head) < 4 or head[:2] != b"\0\0":
        raise BadInput(f"{must} after an IDX header; it begins with {head.hex(' ') or 'nothing'}; fetch it again")
    sizes = file.read(4 * head[3])
    said = tuple(np.frombuffer(sizes[: len(sizes) // 4 * 4], ">u4").tolist())
    if head[2] != 0x08 or said != shape:
        kind = TYPES.get(head[2], f"type 0x{head[2]:02x}")
        raise BadInput(f"{must} as uint8; its header says {kind} of shape {said}; fetch it again")
    wanted = math.prod(shape)
    data = np.frombuffer(bytearray(file.read(wanted + 1)), np.uint8)
    if len(data) != wanted:
        got = "more" if len(data) > wanted else str(len(data))
        raise BadInput(f"{must}, {wanted} bytes after its header; it has {got}; fetch it again")
    return data.reshape(shape)
