"""Digits rendered with exact attributes: named by a caption to draw from, or given as bits to edit.

Source      Captions after Reed et al. 2016 (arXiv:1605.05396), attributes after Castro et al. 2019 (Morpho-MNIST,
            arXiv:1809.10780); here both are rendered, so that every counterfactual is exact.
Shapes      N pictures, S side of a picture, A attributes, L tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench import seeding
from ganbench.data import Condition, DataSpec, Split
from ganbench.datasets.base import Dataset, Rendered, Source, assemble, dataset
from ganbench.datasets.captions import LENGTH, WORDS, captions, read
from ganbench.datasets.digits import digits
from ganbench.datasets.images import idx_dataset
from ganbench.datasets.rendering import ATTRIBUTES, render
from ganbench.errors import NotApplicable

VERSION = 1
BITS = ("blue", "large", "right", "thick")
_UNSET, _SET = torch.tensor([0, 0, 0, 0]), torch.tensor([2, 1, 1, 1])  # red or blue of `ATTRIBUTES`


@dataset(
    "attributed_digits",
    event="image",
    small=True,
    labelled=True,
    cond="attributes",
    scorer="rendered_digits_cnn",
    builtin=True,
)
def attributed_digits(source: Source) -> Dataset:
    """16x16 colour pictures of the 8x8 digits: red or blue, small or large, left or right, thin or thick."""
    return attributed("attributed_digits", digits(source))


@dataset("attributed_mnist", event="image", labelled=True, cond="attributes", scorer="rendered_mnist_cnn")
def attributed_mnist(source: Source) -> Dataset:
    """32x32 colour pictures of MNIST's digits: red or blue, small or large, left or right, thin or thick."""
    return attributed("attributed_mnist", idx_dataset("attributed_mnist", "MNIST", source))


@dataset(
    "captioned_digits",
    event="image",
    small=True,
    labelled=True,
    cond="tokens",
    scorer="rendered_digits_cnn",
    builtin=True,
)
def captioned_digits(source: Source) -> Dataset:
    """16x16 colour pictures of the 8x8 digits with captions; one sixth of the digit-colour pairs only in the test."""
    return captioned("captioned_digits", digits(source))


@dataset("captioned_mnist", event="image", labelled=True, cond="tokens", scorer="rendered_mnist_cnn")
def captioned_mnist(source: Source) -> Dataset:
    """32x32 colour pictures of MNIST's digits with captions; one sixth of the digit-colour pairs only in the test."""
    return captioned("captioned_mnist", idx_dataset("captioned_mnist", "MNIST", source))


def attributed(name: str, plain: Dataset) -> Dataset:
    """Pictures whose condition is four independent fair bits, -1 or 1."""

    def draw(split: Split, part: str) -> tuple[Split, Tensor, Tensor]:
        assert split.y is not None
        rng = seeding.stream("data", name, f"v{VERSION}", part)
        bits = torch.randint(2, (len(split), len(BITS)), generator=rng) * 2 - 1
        shapes, values = glyphs(split), values_of_bits(bits)
        return Split(render(shapes, values), split.y, cond=bits.float()), shapes, values

    (train, *_), (holdout, *_), (test, shapes, values) = (
        draw(getattr(plain, part), part) for part in ("train", "holdout", "test")
    )
    cond = Condition("attributes", (len(BITS),), names=BITS)
    return assemble(
        name, train, holdout, test, domain=(-1, 1), n_classes=10, cond=cond,
        rendered=Rendered(shapes, values), version=VERSION,
    )  # fmt: skip


def captioned(name: str, plain: Dataset) -> Dataset:
    """Pictures whose condition is a caption. Digit-colour pairs of `unseen` stand in the test split alone."""

    def draw(split: Split, part: str) -> tuple[Split, Tensor, Tensor]:
        assert split.y is not None
        rng = seeding.stream("data", name, f"v{VERSION}", part)
        n = len(split)
        values = torch.stack([torch.randint(len(a.values), (n,), generator=rng) for a in ATTRIBUTES], 1)
        if part != "test":
            values[:, 0] += unseen(split.y, values[:, 0]).long()  # the next colour in their place
            values[:, 0] %= len(ATTRIBUTES[0].values)
        shapes = glyphs(split)
        tokens = captions(split.y, values, rng)
        return Split(render(shapes, values), split.y, cond=tokens), shapes, values

    (train, *_), (holdout, *_), (test, shapes, values) = (
        draw(getattr(plain, part), part) for part in ("train", "holdout", "test")
    )
    cond = Condition("tokens", (LENGTH,), vocabulary=len(WORDS), names=WORDS)
    return assemble(
        name, train, holdout, test, domain=(-1, 1), n_classes=10, cond=cond,
        rendered=Rendered(shapes, values), version=VERSION,
    )  # fmt: skip


def unseen(digits: Tensor, colours: Tensor) -> Tensor:
    """Which pairs of digit and colour no caption of the train split names: (N,), (N,) -> (N,) bool."""
    return (digits + colours) % len(ATTRIBUTES[0].values) == 0


def values_of_bits(bits: Tensor) -> Tensor:
    """Values of `ATTRIBUTES` for bits of -1 and 1: (N, 4) -> (N, 4) int64."""
    return torch.where(bits > 0, _SET, _UNSET)


def wanted_values(spec: DataSpec, cond: Tensor) -> Tensor:
    """Values of `ATTRIBUTES` that conditions ask for, -1 where they leave one free: (N, *C) -> (N, 4) int64.

    Raises `NotApplicable` for data that is not rendered from attributes.
    """
    names = spec.cond.names if spec.cond is not None else ()
    if names == WORDS:
        return read(cond)[1]
    if names == BITS:
        return values_of_bits(cond)
    raise NotApplicable(f"needs pictures rendered from attributes; {spec.name} is not")


def glyphs(split: Split) -> Tensor:
    """Grey digits in [0, 1]: 8x8 as they are, MNIST's at half their side with a margin of 1, 16x16."""
    x = (split.events() + 1) / 2
    if x.shape[-1] == 28:
        return F.pad(F.avg_pool2d(x, 2), (1, 1, 1, 1))
    return x
