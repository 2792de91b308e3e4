"""Writing samples as they are drawn: .npy, .npz, .safetensors, a folder of PNG, notes as .wav; whole or not at all.

Arrays hold float32 in the data's domain, as `samples` (N, *E), and every reader of samples takes them.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.lib.format import write_array_header_1_0
from torch import Tensor

from ganbench.data import DataSpec
from ganbench.datasets.samples import MAX_BYTES, MAX_ROWS, SUFFIXES
from ganbench.errors import BadInput
from ganbench.ops.spectrograms import Sound


def check_target(path: Path, n: int, spec: DataSpec, sound: Sound | None = None) -> None:
    """Refuse, before anything is drawn, what could not be written or read again. Raises `BadInput`."""
    if path.exists() or path.is_symlink():
        raise BadInput(f"--out {path.name!r} exists; name another file or folder, nothing is overwritten")
    if path.suffix == ".wav" and sound is None:
        raise BadInput(f"a .wav holds notes; {spec.name} has none: name another file, {path.stem}.npz")
    if path.suffix not in ("", ".wav", *SUFFIXES):
        raise BadInput(f"--out {path.name!r} must end in {', '.join(SUFFIXES)}, or be a folder of PNG without a suffix")
    size = n * spec.n_dims * (4 if path.suffix else 1)
    if n > MAX_ROWS or size > MAX_BYTES:
        most = min(MAX_ROWS, MAX_BYTES * n // size)
        raise BadInput(f"a file of {spec.name} holds at most {most} samples; got -n {n}: write several, by --draw-seed")
    if not path.suffix and not (spec.domain == (-1, 1) and spec.is_image and spec.event_shape[0] in (1, 3)):
        raise BadInput(f"a folder holds images of 1 or 3 channels; {spec.name} has none: name a file, {path.name}.npz")


def write_samples(path: Path, batches: Iterable[Tensor], n: int, spec: DataSpec, sound: Sound | None = None) -> None:
    """Write n samples that come in batches (b, *E); memory is that of one batch. Raises `OSError`, leaving nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shape = (n, *spec.event_shape)
    try:
        if not path.suffix:
            temporary.mkdir()
            _write_pictures(temporary, batches, n)
        elif path.suffix == ".wav" and sound is not None:
            write_wave(temporary, torch.cat(list(batches)), sound)
        elif path.suffix == ".npz":
            with zipfile.ZipFile(temporary, "w") as archive, archive.open("samples.npy", "w", force_zip64=True) as file:
                _write_npy(file, batches, shape)
        else:
            with temporary.open("wb") as file:
                (_write_npy if path.suffix == ".npy" else _write_safetensors)(file, batches, shape)
        os.rename(temporary, path)
    except BaseException:  # an interruption too
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_wave(path: Path, x: Tensor, sound: Sound) -> None:
    """One .wav of all notes (N, 2, F, T), one after the other, 16 bits a sample."""
    from scipy.io import wavfile

    wave = sound.to_wave(x).clamp(-1, 1).flatten()
    wavfile.write(path, sound.rate, wave.mul(32767).round().to(torch.int16).numpy())


def _write_npy(file: IO[bytes], batches: Iterable[Tensor], shape: tuple[int, ...]) -> None:
    write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    _write_rows(file, batches)


def _write_safetensors(file: IO[bytes], batches: Iterable[Tensor], shape: tuple[int, ...]) -> None:
    entry = {"dtype": "F32", "shape": list(shape), "data_offsets": [0, 4 * math.prod(shape)]}
    header = json.dumps({"samples": entry}).encode()
    header += b" " * (-len(header) % 8)
    file.write(len(header).to_bytes(8, "little") + header)
    _write_rows(file, batches)


def _write_rows(file: IO[bytes], batches: Iterable[Tensor]) -> None:
    for x in batches:
        file.write(np.ascontiguousarray(x.numpy(), "<f4").tobytes())


def _write_pictures(folder: Path, batches: Iterable[Tensor], n: int) -> None:
    """000.png, 001.png, ...: pixels 0..255 of images (b, C, H, W) in [-1, 1]."""
    from PIL import Image

    digits, i = len(str(n - 1)), 0
    for x in batches:
        pixels: Any = x.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).movedim(1, -1).numpy()
        for picture in pixels:
            shown = picture.squeeze(-1) if picture.shape[-1] == 1 else picture
            Image.fromarray(shown).save(folder / f"{i:0{digits}}.png")
            i += 1
