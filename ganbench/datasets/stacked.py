"""Stacked MNIST: three random digits as the colour channels of one image, so that modes can be counted to 1,000.

Source      Metz et al. 2017 (unrolled GANs, arXiv:1611.02163); Srivastava et al. 2017 (VEEGAN, arXiv:1705.07761).
            128,000 training images as in PacGAN's code, 26,000 test images, the number of samples that VEEGAN draws.
Departures  1. Training images stack MNIST's first 50,000 digits, the holdout its last 10,000 training digits, the test
               split its test digits, so that no digit is in two splits; the papers stack training digits, or all.
"""

from __future__ import annotations

import torch

from ganbench import seeding
from ganbench.data import Split
from ganbench.datasets.base import Dataset, Source, assemble, dataset
from ganbench.datasets.images import idx_dataset

SIZES = {"train": 128_000, "holdout": 26_000, "test": 26_000}
VERSION = 1


@dataset(
    "stacked_mnist",
    event="image",
    step=0.3,
    labelled=True,
    scorer="stacked_mnist_cnn",
    greatest={"classified_modes": 1000},
)
def stacked_mnist(source: Source) -> Dataset:
    """Stacked MNIST: 28x28 images of three digits, red, green and blue, 128,000 / 26,000 / 26,000; 1,000 classes."""
    digits = idx_dataset("stacked_mnist", "MNIST", source)
    train, holdout, test = (stack(getattr(digits, part), n, part) for part, n in SIZES.items())
    return assemble("stacked_mnist", train, holdout, test, domain=(-1, 1), n_classes=1000, version=VERSION)


def stack(digits: Split, n: int, part: str) -> Split:
    """n triples of digits drawn with replacement from (N, 1, H, W), by a stream of the part's own: (n, 3, H, W).

    The label of digits r, g and b is 100 r + 10 g + b.
    """
    assert digits.y is not None
    rows = torch.randint(len(digits), (n, 3), generator=seeding.stream("data", "stacked_mnist", f"v{VERSION}", part))
    return Split(digits.x[:, 0][rows], digits.y[rows] @ torch.tensor([100, 10, 1]))
