"""Reads other people's samples without trusting them: .npy, .npz, .safetensors or a folder of PNG and JPEG images.

Nothing is unpickled, no link is followed, and sizes are read from headers before anything is decompressed.
"""

from __future__ import annotations

import json
import math
import struct
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganbench.data import DataSpec
from ganbench.errors import BadInput

MAX_BYTES = 4 << 30  # of one array in memory
MAX_HEADER = 1 << 20  # of a .npy or .safetensors file
MAX_FILES = 200_000
SUFFIXES = (".png", ".jpg", ".jpeg")
Array = NDArray[Any]


def read_samples(path: Path, spec: DataSpec) -> Tensor:
    """Samples as float32 (N, *E) in the domain of the data. Raises `BadInput` that says what is wrong and the cure.

    uint8 pixels are mapped to [-1, 1]; images may be (N, H, W) where they are grey, and (N, H, W, C).
    """
    if not path.exists():
        raise BadInput(f"no file or folder {path.name!r}; check the path")
    if path.is_dir():
        return to_events(read_folder(path, spec), spec, path.name)
    readers = {".npy": _read_npy, ".npz": _read_npz, ".safetensors": _read_safetensors}
    if path.suffix not in readers:
        raise BadInput(f"{path.name}: samples are .npy, .npz, .safetensors or a folder of images; pickles are not read")
    try:
        array = readers[path.suffix](path)
    except BadInput:
        raise
    except Exception as error:  # each reader has its own errors for damaged or hostile files
        reason = str(error).split("\n", 1)[0][:200]
        raise BadInput(f"{path.name} is not a readable {path.suffix} file: {type(error).__name__}: {reason}") from None
    return to_events(array, spec, path.name)


def to_events(array: Array, spec: DataSpec, name: str) -> Tensor:
    """An array as events of the data: layout, dtype, range and finiteness checked. Raises `BadInput`."""
    want = ("N", *spec.event_shape)
    if array.dtype.kind not in "fu" or (array.dtype.kind == "u" and array.dtype != np.uint8):
        raise BadInput(f"{name}: samples must be float, or uint8 pixels; got {array.dtype}")
    if array.dtype == np.uint8 and not spec.is_image:
        raise BadInput(f"{name}: {spec.name} holds vectors, so samples must be float; got uint8")
    if spec.is_image and array.ndim == 3 and spec.event_shape[0] == 1:
        array = array[:, None]
    if spec.is_image and array.ndim == 4 and tuple(array.shape[1:]) != spec.event_shape:
        array = array.transpose(0, 3, 1, 2)
    if tuple(array.shape[1:]) != spec.event_shape or len(array) == 0:
        shape = f"({', '.join(map(str, want))})"
        raise BadInput(f"{name}: samples of {spec.name} must have shape {shape}, N > 0; got {tuple(array.shape)}")
    if array.dtype == np.uint8:
        return torch.from_numpy(np.ascontiguousarray(array)).float().div_(127.5).sub_(1)
    x = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    bad = ~torch.isfinite(x).flatten(1).all(1)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise BadInput(
            f"{name}: samples must be finite; {int(bad.sum())} rows hold NaN or infinity, the first is {row}"
        )
    if spec.domain is not None:
        low, high = float(x.min()), float(x.max())
        if low < spec.domain[0] - 1e-3 or high > spec.domain[1] + 1e-3 or (spec.domain[0] < 0 <= low):
            raise BadInput(
                f"{name}: float images of {spec.name} must span [{spec.domain[0]:g}, {spec.domain[1]:g}]; "
                f"got [{low:.4g}, {high:.4g}]; rescale, or store uint8 pixels"
            )
        x = x.clamp(*spec.domain)
    return x


def read_folder(path: Path, spec: DataSpec) -> Array:
    """Every image in a folder, in the order of names: -> (N, C, H, W) uint8. Raises `BadInput`."""
    from PIL import Image

    if not spec.is_image:
        raise BadInput(f"{spec.name} holds vectors, so its samples are .npy, .npz or .safetensors, not a folder")
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    linked = next((p.name for p in files if p.is_symlink() or not p.is_file()), None)
    if linked is not None:
        raise BadInput(f"{path.name}/{linked} is a link or no plain file; put copies of the images in the folder")
    if not files or len(files) > MAX_FILES:
        raise BadInput(f"{path.name} must hold 1 to {MAX_FILES:,} PNG or JPEG images; it holds {len(files):,}")
    channels, height, width = spec.event_shape
    _check_size(len(files) * spec.n_dims, path.name)
    out = np.empty((len(files), channels, height, width), np.uint8)
    for row, file in enumerate(files):
        try:
            with Image.open(file, formats=("PNG", "JPEG")) as picture:
                if picture.size != (width, height):
                    size = f"{picture.size[0]}x{picture.size[1]}"
                    raise BadInput(f"{path.name}/{file.name} must be {width}x{height} pixels; got {size}")
                pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
        except BadInput:
            raise
        except Exception as error:  # damaged or hostile images raise whatever their decoder raises
            reason = f"{type(error).__name__}: {str(error)[:100]}"
            raise BadInput(f"{path.name}/{file.name} is not a readable PNG or JPEG image: {reason}") from None
        out[row] = pixels if channels == 1 else pixels.transpose(2, 0, 1)
    return out


def _read_npy(path: Path) -> Array:
    with path.open("rb") as file:
        _check_npy(file, path.name)
    found: Array = np.load(path, allow_pickle=False)
    return found


def _read_npz(path: Path) -> Array:
    with zipfile.ZipFile(path) as archive:
        members = [i.filename for i in archive.infolist()]
        wanted = _only(members, "samples.npy", path.name)
        with archive.open(wanted) as member:
            _check_npy(member, path.name)
        with archive.open(wanted) as member:
            found: Array = np.lib.format.read_array(member, allow_pickle=False)
    return found


def _read_safetensors(path: Path) -> Array:
    from safetensors import safe_open

    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > MAX_HEADER:
            raise BadInput(f"{path.name}: its header claims {length:,} bytes; the limit is {MAX_HEADER:,}")
        header = json.loads(file.read(length))
    name = _only([k for k in header if k != "__metadata__"], "samples", path.name)
    _check_size(8 * math.prod(header[name]["shape"]), path.name)
    with safe_open(path, framework="pt") as tensors:
        x = tensors.get_tensor(name)
    array: Array = x.float().numpy() if x.is_floating_point() else x.numpy()
    return array


def _only(names: list[str], preferred: str, file: str) -> str:
    """The array called samples, or the only one there is."""
    if preferred in names:
        return preferred
    if len(names) != 1:
        shown = ", ".join(names[:5]) or "none"
        raise BadInput(f"{file} must hold one array, or one called samples; it holds {len(names)}: {shown}")
    return names[0]


def _check_npy(file: IO[bytes], name: str) -> None:
    """Refuse by its header an array of objects or of more than fits."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=MAX_HEADER)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file, max_header_size=MAX_HEADER)
    else:
        raise BadInput(f"{name} must be .npy of version 1 or 2; got {version}")
    if dtype.hasobject or dtype.names:
        raise BadInput(f"{name} must hold plain numbers; got dtype {dtype}, which would need pickle")
    _check_size(math.prod(shape) * max(dtype.itemsize, 4), name)


def _check_size(n_bytes: int, name: str) -> None:
    if not 0 <= n_bytes <= MAX_BYTES:
        raise BadInput(
            f"{name} would take {n_bytes / 2**30:.1f} GiB in memory; the limit is {MAX_BYTES / 2**30:.0f} GiB"
        )
