"""Images made from images by a known map: pairs for translation, and unpaired sets whose hidden map is known to us.

The event is the target and the condition the source. In an unpaired set the train split's sources come from the half of
the examples that gives no targets, so that no pair exists; holdout and test stay aligned, their targets are the truth.

Shapes      N examples, C channels, H, W height and width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.data import Condition, Split
from ganbench.datasets.base import Dataset, Source, assemble, dataset
from ganbench.datasets.digits import digits
from ganbench.datasets.images import idx_dataset
from ganbench.errors import BadInput

VERSION = 1
ROWS = 2000  # examples that are mapped at a time
# Full-strength inks, one a class: the largest channel is 1, so that the grey digit is the maximum over channels.
INKS = torch.tensor(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 0.5, 0], [0.5, 1, 0], [0, 0.5, 1], [1, 1, 1]]
)  # (10, 3)


@dataclass(frozen=True)
class Map:
    """How source and target are made from grey digits x (N, 1, H, W) in [-1, 1] and their classes y (N,)."""

    source: Callable[[Tensor, Tensor], Tensor]
    target: Callable[[Tensor, Tensor], Tensor] = lambda x, y: x


def edges(x: Tensor, y: Tensor) -> Tensor:
    """Morphological gradient, dilation minus erosion over 3x3: (N, 1, H, W) -> (N, 1, H, W) in [-1, 1]."""
    return F.max_pool2d(x, 3, 1, 1) + F.max_pool2d(-x, 3, 1, 1) - 1


def thin(x: Tensor, y: Tensor) -> Tensor:
    """One bit a pixel where a digit, eroded over 2x2, has ink."""
    eroded = -F.max_pool2d(-F.pad(x, (0, 1, 0, 1), value=-1.0), 2, 1)
    return torch.where(eroded > -0.5, 1.0, -1.0)


def quarter(x: Tensor, y: Tensor) -> Tensor:
    """The upper left quarter; the rest is background."""
    seen = torch.full_like(x, -1)
    h, w = x.shape[2] // 2, x.shape[3] // 2
    seen[:, :, :h, :w] = x[:, :, :h, :w]
    return seen


def coloured(x: Tensor, y: Tensor) -> Tensor:
    """The digit in the ink of its class: (N, 1, H, W) -> (N, 3, H, W)."""
    return inked(x, INKS[y])


def tinted(x: Tensor, y: Tensor) -> Tensor:
    """The digit in an ink from blue to red by its slant, which the grey digit shows: (N, 1, H, W) -> (N, 3, H, W)."""
    t = (0.5 + slant(x)).clamp(0, 1)
    strongest = torch.maximum(t, 1 - t)
    return inked(x, torch.stack([t / strongest, torch.full_like(t, 0.5), (1 - t) / strongest], 1))


def inked(x: Tensor, ink: Tensor) -> Tensor:
    """Grey events in inks: (N, 1, H, W), (N, 3) -> (N, 3, H, W)."""
    return (x + 1) * ink.to(x)[:, :, None, None] - 1


def slant(x: Tensor) -> Tensor:
    """Shear of the ink: covariance of column and height over the variance of height; 0.5 is 27 degrees. (N,)"""
    ink = (x[:, 0].double() + 1) / 2 + 1e-6  # in float64, so that roundings do not reach the grey levels
    ink = ink / ink.sum((1, 2), keepdim=True)
    row = torch.arange(x.shape[2], dtype=ink.dtype)[:, None] / x.shape[2]
    column = torch.arange(x.shape[3], dtype=ink.dtype)[None, :] / x.shape[3]
    height, across = -(row - (ink * row).sum((1, 2), keepdim=True)), column - (ink * column).sum((1, 2), keepdim=True)
    return (ink * height * across).sum((1, 2)) / (ink * height.square()).sum((1, 2))


def smaller(factor: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Means over boxes of factor x factor pixels. Raises `BadInput` for sides that the factor does not divide."""

    def shrink(x: Tensor, y: Tensor) -> Tensor:
        if x.shape[2] % factor or x.shape[3] % factor:
            raise BadInput(
                f"a side must be a multiple of {factor}, to be made {factor} times smaller; got {x.shape[2:]}"
            )
        return F.avg_pool2d(x, factor)

    return shrink


EDGES, THIN, QUARTER, COLOURED = Map(edges), Map(thin), Map(quarter), Map(lambda x, y: x, coloured)
ROTATED, INVERTED = Map(lambda x, y: x.rot90(1, (2, 3))), Map(lambda x, y: -x)
TINTED = Map(lambda x, y: x.expand(-1, 3, -1, -1), tinted)  # grey in three channels: what is kept must fit
HALF, FOURTH = Map(smaller(2)), Map(smaller(4))


def mapped(name: str, plain: Dataset, how: Map, *, paired: bool = True, version: int = VERSION) -> Dataset:
    """The data set `name` whose events and conditions are made from the digits of another, in 255 grey levels."""

    def pair(split: Split) -> Split:
        assert split.y is not None
        made = [
            (pixels(how.target(x, y)), pixels(how.source(x, y)))
            for rows in torch.arange(len(split)).split(ROWS)
            for x, y in [(split.events(rows), split.y[rows])]
        ]
        targets, sources = zip(*made, strict=True)
        return Split(torch.cat(targets), split.y, cond=torch.cat(sources))

    train, holdout, test = (pair(split) for split in (plain.train, plain.holdout, plain.test))
    assert train.cond is not None
    cond = Condition("image", tuple(train.cond.shape[1:]), paired)
    if not paired:
        half = len(train) // 2
        assert train.y is not None
        train = Split(train.x[:half], train.y[:half], cond=train.cond[half:])
    return assemble(name, train, holdout, test, domain=(-1, 1), n_classes=10, cond=cond, version=version)


def pixels(x: Tensor) -> Tensor:
    """Events of [-1, 1] as the nearest of 256 levels, which are the same on every processor."""
    return ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


@dataset("edges_digits", event="image", small=True, labelled=True, cond="image", scorer="digits_cnn", builtin=True)
def edges_digits(source: Source) -> Dataset:
    """8x8 digits from their edges, the morphological gradient."""
    return mapped("edges_digits", digits(source), EDGES)


@dataset("thin_digits", event="image", small=True, labelled=True, cond="image", scorer="digits_cnn", builtin=True)
def thin_digits(source: Source) -> Dataset:
    """8x8 digits from their eroded 1-bit shape."""
    return mapped("thin_digits", digits(source), THIN)


@dataset("quarter_digits", event="image", small=True, labelled=True, cond="image", scorer="digits_cnn", builtin=True)
def quarter_digits(source: Source) -> Dataset:
    """8x8 digits from their upper left quarter."""
    return mapped("quarter_digits", digits(source), QUARTER)


@dataset(
    "coloured_digits", event="image", small=True, labelled=True, cond="image", scorer="ink_digits_cnn", builtin=True
)
def coloured_digits(source: Source) -> Dataset:
    """8x8 digits in the ink of their class, from grey ones."""
    return mapped("coloured_digits", digits(source), COLOURED)


@dataset(
    "rotated_digits",
    event="image",
    small=True,
    labelled=True,
    cond="image",
    paired=False,
    scorer="digits_cnn",
    builtin=True,
)
def rotated_digits(source: Source) -> Dataset:
    """8x8 upright digits from digits turned by 90 degrees, unpaired."""
    return mapped("rotated_digits", digits(source), ROTATED, paired=False)


@dataset(
    "inverted_digits",
    event="image",
    small=True,
    labelled=True,
    cond="image",
    paired=False,
    scorer="digits_cnn",
    builtin=True,
)
def inverted_digits(source: Source) -> Dataset:
    """8x8 light digits from dark ones, unpaired; keeping the source's look is wrong here."""
    return mapped("inverted_digits", digits(source), INVERTED, paired=False)


@dataset(
    "tinted_digits",
    event="image",
    small=True,
    labelled=True,
    cond="image",
    paired=False,
    scorer="ink_digits_cnn",
    builtin=True,
    version=2,
)
def tinted_digits(source: Source) -> Dataset:
    """8x8 digits in an ink by their slant, from grey ones, unpaired; keeping the source's look helps."""
    return mapped("tinted_digits", digits(source), TINTED, paired=False, version=2)


@dataset("half_digits", event="image", small=True, labelled=True, cond="image", scorer="digits_cnn", builtin=True)
def half_digits(source: Source) -> Dataset:
    """8x8 digits from a half of their side, for super-resolution."""
    return mapped("half_digits", digits(source), HALF)


@dataset("edges_mnist", event="image", labelled=True, cond="image", scorer="mnist_cnn")
def edges_mnist(source: Source) -> Dataset:
    """28x28 digits from their edges, the morphological gradient."""
    return mapped("edges_mnist", idx_dataset("edges_mnist", "MNIST", source), EDGES)


@dataset("thin_mnist", event="image", labelled=True, cond="image", scorer="mnist_cnn")
def thin_mnist(source: Source) -> Dataset:
    """28x28 digits from their eroded 1-bit shape."""
    return mapped("thin_mnist", idx_dataset("thin_mnist", "MNIST", source), THIN)


@dataset("quarter_mnist", event="image", labelled=True, cond="image", scorer="mnist_cnn")
def quarter_mnist(source: Source) -> Dataset:
    """28x28 digits from their upper left quarter."""
    return mapped("quarter_mnist", idx_dataset("quarter_mnist", "MNIST", source), QUARTER)


@dataset("coloured_mnist", event="image", labelled=True, cond="image", scorer="ink_mnist_cnn")
def coloured_mnist(source: Source) -> Dataset:
    """28x28 digits in the ink of their class, from grey ones."""
    return mapped("coloured_mnist", idx_dataset("coloured_mnist", "MNIST", source), COLOURED)


@dataset("rotated_mnist", event="image", labelled=True, cond="image", paired=False, scorer="mnist_cnn")
def rotated_mnist(source: Source) -> Dataset:
    """28x28 upright digits from digits turned by 90 degrees, unpaired."""
    return mapped("rotated_mnist", idx_dataset("rotated_mnist", "MNIST", source), ROTATED, paired=False)


@dataset("inverted_mnist", event="image", labelled=True, cond="image", paired=False, scorer="mnist_cnn")
def inverted_mnist(source: Source) -> Dataset:
    """28x28 light digits from dark ones, unpaired; keeping the source's look is wrong here."""
    return mapped("inverted_mnist", idx_dataset("inverted_mnist", "MNIST", source), INVERTED, paired=False)


@dataset("tinted_mnist", event="image", labelled=True, cond="image", paired=False, scorer="ink_mnist_cnn", version=2)
def tinted_mnist(source: Source) -> Dataset:
    """28x28 digits in an ink by their slant, from grey ones, unpaired; keeping the source's look helps."""
    return mapped("tinted_mnist", idx_dataset("tinted_mnist", "MNIST", source), TINTED, paired=False, version=2)


@dataset("half_mnist", event="image", labelled=True, cond="image", scorer="mnist_cnn")
def half_mnist(source: Source) -> Dataset:
    """28x28 digits from a half of their side, for super-resolution."""
    return mapped("half_mnist", idx_dataset("half_mnist", "MNIST", source), HALF)


@dataset("fourth_mnist", event="image", labelled=True, cond="image", scorer="mnist_cnn")
def fourth_mnist(source: Source) -> Dataset:
    """28x28 digits from a fourth of their side, for super-resolution."""
    return mapped("fourth_mnist", idx_dataset("fourth_mnist", "MNIST", source), FOURTH)
