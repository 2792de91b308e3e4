"""Any array file as a data set: `array:PATH` to a .npy, .npz or .safetensors file with `x` and, if labelled, `y`.

x may also be called samples, or be the only array. It is float (N, D) for vectors; for images uint8 or float in
[-1, 1], (N, H, W) grey, (N, C, H, W) or (N, H, W, C) with C 1 or 3; y is (N,) integers from 0. Nothing is unpickled,
and sizes are read from headers before data is.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from ganbench.datasets.base import Dataset, Source, assemble, check_size, dataset, split_finite
from ganbench.errors import BadInput


@dataset("array", event="any", prefix=True)
def array(source: Source) -> Dataset:
    """Vectors or images from a .npy, .npz or .safetensors file with arrays x and, optionally, y."""
    path = Path(source.argument or "")
    arrays = read_arrays(path)
    x, y = check_x(arrays["x"], path.name), None
    if "y" in arrays:
        y = check_y(arrays["y"], len(x), path.name)
    train, holdout, test = split_finite(x, y, parts=3)
    domain = (-1.0, 1.0) if x.ndim == 4 else None
    n_classes = None if y is None else int(y.max()) + 1
    return assemble(f"array:{path.name}", train, holdout, test, domain=domain, n_classes=n_classes)


def read_arrays(path: Path) -> dict[str, Tensor]:
    """x and, if there, y of a .npy, .npz or .safetensors file, whatever x is called there. Raises `BadInput`."""
    if not path.is_file():
        raise BadInput(f"array:PATH needs an existing .npy, .npz or .safetensors file; {path.name or path} is none")
    try:
        match path.suffix:
            case ".npy":
                with path.open("rb") as file:
                    _check_header(file, path.name)
                return {"x": _tensor(np.load(path, allow_pickle=False), path.name)}
            case ".npz":
                with zipfile.ZipFile(path) as archive:
                    wanted = _wanted([name.removesuffix(".npy") for name in archive.namelist()], path.name)
                    for name in wanted.values():
                        with archive.open(f"{name}.npy") as member:
                            _check_header(member, f"{path.name}/{name}")
                with np.load(path, allow_pickle=False) as arrays:
                    return {key: _tensor(arrays[name], path.name) for key, name in wanted.items()}
            case ".safetensors":
                from safetensors import safe_open

                check_size(path.stat().st_size, path.name)  # not compressed: nothing unpacks to more than the file
                with safe_open(path, framework="pt") as file:
                    return {key: file.get_tensor(name) for key, name in _wanted(file.keys(), path.name).items()}
    except BadInput:
        raise
    except Exception as error:  # each reader has its own errors for damaged or hostile files
        reason = str(error).split("\n", 1)[0][:200]
        raise BadInput(f"{path.name} is not a readable {path.suffix} file: {type(error).__name__}: {reason}") from None
    raise BadInput(
        f"array:PATH takes .npy, .npz or .safetensors; got {path.name}; save it with numpy.savez(x=..., y=...)"
    )


def check_x(x: Tensor, name: str) -> Tensor:
    """Events as float32 vectors (N, D), or images (N, C, H, W) in uint8 or float32. Raises `BadInput`."""
    if x.ndim == 3:
        x = x.unsqueeze(1)
    if x.ndim == 4 and x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        x = x.permute(0, 3, 1, 2)
    if x.ndim not in (2, 4) or (x.ndim == 4 and x.shape[1] not in (1, 3)) or x[:1].numel() == 0:
        raise BadInput(
            f"{name}: x must be (N, D), (N, H, W), or (N, C, H, W) with C 1 or 3, and not empty; got {tuple(x.shape)}"
        )
    if x.dtype == torch.uint8 and x.ndim == 4:
        return x.contiguous()
    if not x.is_floating_point():
        raise BadInput(f"{name}: x must be floating point, or uint8 for images; got {x.dtype} {tuple(x.shape)}")
    x = x.float().contiguous()
    bad = ~torch.isfinite(x).flatten(1).all(1)
    if bad.any():
        raise BadInput(f"{name}: x must be finite in float32; row {int(bad.nonzero()[0])} holds NaN or infinity")
    low, high = float(x.min()), float(x.max())
    if x.ndim == 4 and (low < -1 or high > 1 or low >= 0):
        raise BadInput(f"{name}: float images must span [-1, 1]; got [{low:.4g}, {high:.4g}]; scale, or store uint8")
    return x


def check_y(y: Tensor, n: int, name: str) -> Tensor:
    """Labels as int64 (N,), from 0. Raises `BadInput`."""
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool or tuple(y.shape) != (n,):
        raise BadInput(f"{name}: y must be integers of shape ({n},); got {y.dtype} {tuple(y.shape)}")
    y = y.long()
    off = (y < 0) | (y >= n)
    if off.any():
        row = int(off.nonzero()[0])
        raise BadInput(f"{name}: y must be classes from 0 on, fewer than rows; row {row} is {int(y[row])}")
    return y


def _wanted(held: Collection[str], file: str) -> dict[str, str]:
    """{"x": name} of the arrays to read, and "y" where there is one."""
    wanted = {"x": name_of_events(held, file)}
    return {**wanted, "y": "y"} if "y" in held and wanted["x"] != "y" else wanted


def name_of_events(held: Collection[str], file: str) -> str:
    """Which array of a file holds the events: x or samples, or the only one there is. Raises `BadInput`."""
    named = [name for name in held if name in ("x", "samples")] or list(held)
    if len(named) != 1:
        listed = ", ".join(sorted(name[:20] for name in held)[:8]) or "none"
        raise BadInput(f"{file} must hold one array, or one called samples, or an array named x; it holds {listed}")
    return named[0]


def _check_header(file: IO[bytes], name: str) -> None:
    """Refuse an array by its .npy header: object dtypes, unknown versions, and more than fits."""
    version = np.lib.format.read_magic(file)
    readers: dict[Any, Any] = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise BadInput(f"{name} must be .npy of version 1 or 2; got {version}")
    shape, _, dtype = readers[version](file)
    if dtype.hasobject or dtype.names:
        raise BadInput(f"{name} must hold plain numbers; got dtype {dtype}, which would need pickle")
    check_size(math.prod(shape) * dtype.itemsize, name)


def _tensor(values: Any, name: str) -> Tensor:
    """A numpy array as a tensor in the machine's byte order. Raises `BadInput` for dtypes torch has not."""
    try:
        return torch.from_numpy(np.ascontiguousarray(values.astype(values.dtype.newbyteorder("="), copy=False)))
    except TypeError:
        raise BadInput(f"{name} must hold numbers; got dtype {values.dtype}") from None
