"""Any folder of PNG or JPEG images as a data set: `folder:PATH`, with class sub-folders and train/ and test/ if there.

The order is that of the sorted names, and what is not already split is split by a fixed seed, so the same folder gives
the same splits everywhere. All images must have one size; nothing is resized or cropped behind the user's back.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganbench.datasets.base import Dataset, Source, assemble, check_size, dataset, split_finite
from ganbench.errors import BadInput

SUFFIXES = {".png", ".jpg", ".jpeg"}
CHANNELS = {"1": 1, "L": 1, "RGB": 3, "P": 3, "CMYK": 3, "YCbCr": 3}  # PIL's modes; alpha and 16 bits are refused


@dataset(
    "folder",
    event="image",
    iterations={"smoke": 200, "quick": 500, "standard": 5000},
    prefix=True,
)
def folder(source: Source) -> Dataset:
    """Images in PATH, in class folders PATH/CLASS, or in PATH/train and PATH/test made like that."""
    root = Path(source.argument or "")
    if not root.is_dir():
        raise BadInput(f"folder:PATH needs an existing folder of images; {root.name or root} is none")
    if (root / "train").is_dir() and (root / "test").is_dir():
        train_paths, train_y, classes = _find(root / "train")
        test_paths, test_y, test_classes = _find(root / "test")
        if classes != test_classes:
            odd = sorted(set(classes) ^ set(test_classes))
            raise BadInput(f"train/ and test/ must hold the same class folders; only one of them has {odd[0]!r}")
        x = _read(train_paths + test_paths, root)
        cut = len(train_paths)
        train, holdout = split_finite(x[:cut], train_y, parts=2)
        (test,) = split_finite(x[cut:], test_y, parts=1)  # shuffled: metrics that cut samples up refuse sorted classes
    else:
        paths, y, classes = _find(root)
        train, holdout, test = split_finite(_read(paths, root), y, parts=3)
    name = f"folder:{root.resolve().name}"
    return assemble(name, train, holdout, test, domain=(-1, 1), n_classes=len(classes) or None)


def read_pictures(root: Path) -> Tensor:
    """Pixels of every image in a folder and its class folders: -> (N, C, H, W) uint8. Raises `BadInput`."""
    paths, _, _ = _find(root)
    return _read(paths, root)


def _find(root: Path) -> tuple[list[Path], Tensor | None, list[str]]:
    """Images under `root` in a fixed order, their labels (N,) and class names; no labels when they lie in it directly.

    Raises `BadInput` when there are none, or both loose ones and class folders.
    """
    loose = _images(root)
    by_class = {d.name: _images(d) for d in sorted(root.iterdir()) if d.is_dir() and not d.name.startswith(".")}
    if loose and any(by_class.values()):
        raise BadInput(f"{root.name} must hold images or class folders of images; it holds both")
    if loose:
        return loose, None, []
    empty = [name for name, paths in by_class.items() if not paths]
    if empty or not by_class:
        where = f"its folder {empty[0]!r}" if empty else "it"
        raise BadInput(f"{root.name} must hold PNG or JPEG images or class folders of them; {where} has none")
    y = torch.repeat_interleave(torch.arange(len(by_class)), torch.tensor([len(p) for p in by_class.values()]))
    return [path for paths in by_class.values() for path in paths], y, list(by_class)


def _images(folder: Path) -> list[Path]:
    """PNG and JPEG files directly in `folder`, sorted by name; hidden files are skipped."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    return sorted((p for p in found if p.is_file()), key=lambda p: p.name)


def _read(paths: list[Path], root: Path) -> Tensor:
    """Pixels of all images: -> (N, C, H, W) uint8. Raises `BadInput` naming the first that differs or is damaged."""
    from PIL import Image

    shape: tuple[int, ...] = ()
    out = np.empty(0, np.uint8)
    for row, path in enumerate(paths):
        label = path.relative_to(root)
        try:
            with Image.open(path, formats=("PNG", "JPEG")) as picture:
                channels = CHANNELS.get(picture.mode)
                if channels is None or "transparency" in picture.info:
                    raise BadInput(f"{label}: images must be 8-bit grey or RGB without alpha; got mode {picture.mode}")
                this = (channels, picture.height, picture.width)
                if row == 0:
                    shape = this
                    check_size(len(paths) * math.prod(shape), root.name)  # the header says it before anything decodes
                    out = np.empty((len(paths), *shape), np.uint8)
                elif this != shape:
                    raise BadInput(
                        f"all images must share one (C, H, W); {paths[0].name} has {shape}, {label} has {this}"
                    )
                pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"{label} is not a readable PNG or JPEG image: {type(error).__name__}; remove it") from None
        out[row] = pixels if channels == 1 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(out)
