"""The contract of a data set: three splits in memory, a spec with a hash, and the density where it is known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from ganbench.data import DataSpec, Mixture, Split

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True)
class Dataset:
    """`train` is for models, `test` is the reference of metrics, `holdout` calibrates and is the oracle row."""

    spec: DataSpec
    train: Split
    holdout: Split
    test: Split
    mixture: Mixture | None = None


@dataclass(frozen=True)
class Source:
    """Where a data set may look: `root` for torchvision's layout, `argument` after the colon of folder:PATH."""

    root: Path | None = None  # --data-dir or GANBENCH_DATA
    argument: str | None = None
    download: bool = False  # only `ganbench data get` sets it


def dataset(
    name: str,
    *,
    event: str,  # "vector" or "image"
    iterations: dict[str, int],  # of one plain GAN, for smoke, quick and standard
    labelled: bool = False,
    scorer: str = "",  # the scorer metrics look through by default
    prefix: bool = False,  # named with an argument, as in folder:PATH
    builtin: bool = False,  # needs no files: part of the suite `all`
    version: int = 1,
) -> Callable[[F], F]:
    """Register `(source: Source) -> Dataset` as the data set `name`; arguments must be literals."""

    def mark(function: F) -> F:
        return function

    return mark


def fingerprint(*splits: Split) -> str:
    """sha256 over shapes, dtypes and bytes of the splits' events and labels."""
    digest = hashlib.sha256()
    for split in splits:
        for t in (split.x, split.y):
            if t is not None:
                digest.update(f"{tuple(t.shape)}{t.dtype}".encode())
                digest.update(t.contiguous().view(torch.uint8).numpy().tobytes() if t.ndim else b"")
    return digest.hexdigest()
