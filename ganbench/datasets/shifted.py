"""Digits somewhere on a larger canvas: what classifiers of affine robustness learn from.

Source      Sabour et al. 2017 (arXiv:1710.09829), section 5.2: MNIST on 40x40 pixels, shifted at random; affNIST's maps
            are the metric `affine_error`'s.
Shapes      N examples, h side of a digit, S side of the canvas.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench import seeding
from ganbench.data import Split
from ganbench.datasets.base import Dataset, Source, assemble, dataset
from ganbench.datasets.derived import pixels
from ganbench.datasets.digits import digits
from ganbench.datasets.images import idx_dataset

VERSION = 1


@dataset("shifted_digits", event="image", small=True, labelled=True, builtin=True)
def shifted_digits(source: Source) -> Dataset:
    """8x8 digits anywhere on 12x12 pixels."""
    return shifted("shifted_digits", digits(source), 12)


@dataset("shifted_mnist", event="image", labelled=True)
def shifted_mnist(source: Source) -> Dataset:
    """28x28 digits anywhere on 40x40 pixels."""
    return shifted("shifted_mnist", idx_dataset("shifted_mnist", "MNIST", source), 40)


def shifted(name: str, plain: Dataset, canvas: int) -> Dataset:
    """Every digit at a place drawn once, uniform over the whole pixels that keep it on the canvas."""

    def moved(split: Split, part: str) -> Split:
        x = pixels(split.events()) if split.x.is_floating_point() else split.x
        room = canvas - x.shape[-1] + 1
        rng = seeding.stream("data", name, f"v{VERSION}", part)
        return Split(place(x, torch.randint(room, (len(x), 2), generator=rng), canvas), split.y)

    parts = [moved(getattr(plain, part), part) for part in ("train", "holdout", "test")]
    return assemble(name, *parts, domain=(-1, 1), n_classes=10, version=VERSION)


def place(x: Tensor, corner: Tensor, canvas: int) -> Tensor:
    """Images with their upper left corners at (row, column) of a black canvas: (N, C, h, h), (N, 2) -> (N, C, S, S)."""
    h = x.shape[-1]
    out = x.new_zeros(len(x), x.shape[1], canvas, canvas)
    for row, column in corner.unique(dim=0).tolist():
        here = (corner == torch.tensor([row, column])).all(1)
        out[here, :, row : row + h, column : column + h] = x[here]
    return out
