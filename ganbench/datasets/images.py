"""Image data sets in torchvision's own folder layout, held as uint8 pixels; downloaded only on request.

The last 10,000 training images are the holdout (CelebA: its validation part); the published test set is the test split.
MNIST's file format is read by `ganbench.datasets.idx`, which spares a worker the second it takes to import torchvision;
the other formats are left to torchvision, which checks md5 sums before it parses.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganbench.data import Split
from ganbench.datasets.base import Dataset, Source, assemble, dataset
from ganbench.datasets.idx import What, find_idx, read_idx
from ganbench.errors import BadInput, MissingResource

HOLDOUT = 10_000
N_CLASSES = 10
IDX_FILES: dict[str, tuple[What, tuple[int, ...]]] = {  # file -> what it holds and its sizes
    "train-images-idx3-ubyte": ("pixels", (60_000, 28, 28)),
    "train-labels-idx1-ubyte": ("labels", (60_000,)),
    "t10k-images-idx3-ubyte": ("pixels", (10_000, 28, 28)),
    "t10k-labels-idx1-ubyte": ("labels", (10_000,)),
}
PORTRAIT = (178, 218)  # width and height of an aligned picture
FACE = 178  # side of the centre that is kept of an aligned 178x218 picture


@dataset("mnist", event="image", step=0.12, labelled=True, scorer="mnist_cnn", greatest={"classified_modes": 10})
def mnist(source: Source) -> Dataset:
    """MNIST: 28x28 grey handwritten digits, 50,000 / 10,000 / 10,000 (LeCun, Cortes, Burges 1998)."""
    return idx_dataset("mnist", "MNIST", source)


@dataset(
    "fashion_mnist", event="image", step=0.12, labelled=True, scorer="inception_v3", greatest={"classified_modes": 10}
)
def fashion_mnist(source: Source) -> Dataset:
    """Fashion-MNIST: 28x28 grey pictures of clothes, 50,000 / 10,000 / 10,000 (arXiv:1708.07747)."""
    return idx_dataset("fashion_mnist", "FashionMNIST", source)


@dataset("kmnist", event="image", step=0.12, labelled=True, scorer="inception_v3", greatest={"classified_modes": 10})
def kmnist(source: Source) -> Dataset:
    """Kuzushiji-MNIST: 28x28 grey cursive characters, 50,000 / 10,000 / 10,000 (arXiv:1812.01718)."""
    return idx_dataset("kmnist", "KMNIST", source)


@dataset("cifar10", event="image", labelled=True, scorer="cifar10_cnn", greatest={"classified_modes": 10})
def cifar10(source: Source) -> Dataset:
    """CIFAR-10: 32x32 colour photographs of ten classes, 40,000 / 10,000 / 10,000 (Krizhevsky 2009)."""
    train, test = (_torchvision("cifar10", "CIFAR10", source, train=train) for train in (True, False))
    x, x_test = (torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous() for part in (train, test))
    return _with_holdout("cifar10", x, torch.tensor(train.targets), Split(x_test, torch.tensor(test.targets)))


@dataset("svhn", event="image", labelled=True, scorer="inception_v3", greatest={"classified_modes": 10})
def svhn(source: Source) -> Dataset:
    """SVHN, cropped: 32x32 colour photographs of house numbers, 63,257 / 10,000 / 26,032 (Netzer et al. 2011)."""
    parts = [_torchvision("svhn", "SVHN", source, split=split) for split in ("train", "test")]
    x, x_test = (torch.from_numpy(np.ascontiguousarray(part.data)) for part in parts)  # (N, 3, 32, 32)
    y, y_test = (torch.from_numpy(part.labels).long() for part in parts)
    return _with_holdout("svhn", x, y, Split(x_test, y_test))


@dataset("celeba", event="image", step=1.6, scorer="inception_v3")
def celeba(source: Source) -> Dataset:
    """CelebA: 64x64 colour faces, 162,770 / 19,867 / 19,962 (arXiv:1411.7766); aligned, 178x178 centre, antialiased.

    The decoded pixels are kept beside the pictures and memory-mapped: decoding takes minutes, and they fill 2.5 GB.
    """
    folder = _root("celeba", source) / "celeba"
    splits = []
    for part in ("train", "valid", "test"):
        cache = folder / f"ganbench-64x64-v1-{part}.npy"
        if source.download or not cache.exists():
            _decode_faces(_torchvision("celeba", "CelebA", source, split=part, target_type=[]), cache)
        splits.append(Split(_decoded_faces(cache)))
    return assemble("celeba", *splits, domain=(-1, 1))


def _decode_faces(pictures: Any, cache: Path) -> None:
    """Write the centre of every picture at 64x64 as one uint8 array (N, 3, 64, 64) to the file `cache`."""
    from PIL import Image

    half_done = cache.with_suffix(f".{os.getpid()}.part")  # another process may be at the same work
    try:
        out = np.lib.format.open_memmap(half_done, mode="w+", dtype=np.uint8, shape=(len(pictures), 3, 64, 64))
    except OSError as error:
        raise MissingResource(
            f"celeba: {cache.parent} must be writable once, with 2.5 GB free for decoded faces: {error.strerror}"
        ) from None
    for row in range(len(pictures)):
        try:
            picture, _ = pictures[row]  # torchvision knows the lists by their md5 sums, the pictures by name alone
        except (OSError, SyntaxError, ValueError) as error:
            half_done.unlink()
            raise BadInput(f"celeba: picture {row} of {cache.stem} cannot be read: {error}; fetch it again") from None
        if (picture.width, picture.height) != PORTRAIT:
            half_done.unlink()
            got = f"{picture.width} x {picture.height}"
            raise BadInput(f"celeba: aligned pictures are {PORTRAIT[0]} x {PORTRAIT[1]}; picture {row} is {got}")
        left, top = (picture.width - FACE) // 2, (picture.height - FACE) // 2
        face = picture.crop((left, top, left + FACE, top + FACE)).resize((64, 64), Image.Resampling.LANCZOS)
        out[row] = np.asarray(face).transpose(2, 0, 1)
    out.flush()
    half_done.replace(cache)


def _decoded_faces(cache: Path) -> Tensor:
    """(N, 3, 64, 64) uint8, memory-mapped. Raises `BadInput` where the file is not what was written there."""
    try:
        faces = np.load(cache, mmap_mode="c")  # copy-on-write: the file never changes
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{cache.name} cannot be read: {type(error).__name__}; remove it to decode again") from None
    if faces.dtype != np.uint8 or faces.shape[1:] != (3, 64, 64) or not len(faces):
        raise BadInput(f"{cache.name} must hold uint8 (N, 3, 64, 64); got {faces.dtype} {faces.shape}; remove it")
    return torch.from_numpy(faces)


def idx_dataset(name: str, folder: str, source: Source) -> Dataset:
    """The data set `name` from four files in MNIST's format, 60,000 and 10,000 images of 28x28, under `folder`/raw.

    Raises `MissingResource` where they are not there, `BadInput` where they are damaged or not those of such a set.
    """
    root = _root(name, source)
    raw = root / folder / "raw"
    if source.download:
        _torchvision(name, folder, source, train=True)
    missing = [file for file in IDX_FILES if find_idx(raw / file) is None]
    if missing:
        raise MissingResource(f"{name}: no {missing[0]} in {raw}; get it with `ganbench data get {name}`")
    x, y, x_test, y_test = (read_idx(raw / file, *wanted) for file, wanted in IDX_FILES.items())
    return _with_holdout(name, x.unsqueeze(1), y.long(), Split(x_test.unsqueeze(1), y_test.long()))


def _root(name: str, source: Source) -> Path:
    """The data directory. Raises `MissingResource` when none was given."""
    if source.root is None:
        raise MissingResource(
            f"{name}: no data directory given; pass --data-dir or set GANBENCH_DATA, then `ganbench data get {name}`"
        )
    return source.root


def _torchvision(name: str, attribute: str, source: Source, **options: Any) -> Any:
    """torchvision's own data set object. Raises `MissingResource` when its files are absent or damaged."""
    from torchvision import datasets

    root = _root(name, source)
    try:
        return getattr(datasets, attribute)(root=str(root), download=source.download, **options)
    except (RuntimeError, OSError) as error:  # absent or damaged files, or a download that failed
        if source.download:
            raise MissingResource(f"{name}: the download into {root} failed: {error}; check the connection") from None
        raise MissingResource(
            f"{name}: not found, or not the published files, in {root}; get it with `ganbench data get {name}`"
        ) from None


def _with_holdout(name: str, x: Tensor, y: Tensor, test: Split) -> Dataset:
    """Training images whose last 10,000 become the holdout, and the test images.

    Raises `BadInput` for labels that are not one of ten classes for each image, or for too few images.
    """
    assert test.y is not None
    for part, images, labels in (("train", x, y), ("test", test.x, test.y)):
        if len(images) != len(labels):
            raise BadInput(
                f"{name}: the {part} files hold {len(images)} images and {len(labels)} labels; fetch them again"
            )
        found = labels.unique().tolist()
        if found != list(range(N_CLASSES)):
            raise BadInput(f"{name}: {part} labels must be 0 to {N_CLASSES - 1}, each of them there; got {found[:12]}")
    cut = len(x) - HOLDOUT
    if cut < 1:
        raise BadInput(f"{name}: the train files must hold more than the holdout's {HOLDOUT} images; got {len(x)}")
    return assemble(name, Split(x[:cut], y[:cut]), Split(x[cut:], y[cut:]), test, domain=(-1, 1), n_classes=N_CLASSES)
