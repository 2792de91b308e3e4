"""The 1,797 real 8x8 handwritten digits that scikit-learn ships (UCI, Alpaydin and Kaynak 1998)."""

from __future__ import annotations

import torch

from ganbench import seeding
from ganbench.data import Split
from ganbench.datasets.base import Dataset, Source, assemble, dataset, stratified_split

VERSION = 1


@dataset(
    "digits",
    event="image",
    small=True,
    labelled=True,
    scorer="digits_cnn",
    builtin=True,
    greatest={"classified_modes": 10},
)
def digits(source: Source) -> Dataset:
    """8x8 grey handwritten digits, 797 / 500 / 500: every class in the same share of each split, the draw fixed."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)  # (1797, 64) integers 0..16, (1797,)
    x = torch.from_numpy(pixels).float().view(-1, 1, 8, 8) / 8 - 1  # exact in float32, in [-1, 1]
    y = torch.from_numpy(labels).long()
    rng = seeding.stream("data", "digits", f"v{VERSION}", "split")
    train, holdout, test = (Split(x[i], y[i]) for i in stratified_split(y, (797, 500, 500), rng))
    return assemble("digits", train, holdout, test, domain=(-1, 1), n_classes=10, version=VERSION)
