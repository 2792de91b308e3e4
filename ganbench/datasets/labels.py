"""Which labels a learner from few labels sees: class-balanced draws, seeded apart from training.

A draw depends on the data set, its own number and the labels, and on nothing else: a classifier that is trained on few
labels and an SVM on frozen features take the same draw for the same seed, so their errors are paired. For one number
the draws are nested: 20 labels are among the 50, and these among the 100.

Shapes      N examples, L labels, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench import seeding
from ganbench.data import DataSpec, Split
from ganbench.errors import BadInput, NotApplicable

USUAL = (20, 50, 100, 200)  # label counts of a curve, where nobody says others


def draw_labels(split: Split, spec: DataSpec, count: int, draw: int) -> Tensor:
    """Indices (L,) of the labels that draw number `draw` reveals: the data's own choice where it makes one.

    Raises `NotApplicable` for a split without labels, and what `few_labels` raises.
    """
    if split.y is None:
        raise NotApplicable(f"needs labels; {spec.name} has none")
    if split.labelled is not None:
        if len(split.labelled) != count:
            raise BadInput(f"{spec.name} says itself which {len(split.labelled)} labels are seen; got {count}")
        return split.labelled
    return few_labels(split.y, count, seeding.stream("labels", spec.name, draw), spec.n_classes)


def few_labels(y: Tensor, count: int, rng: torch.Generator, n_classes: int | None = None) -> Tensor:
    """Indices (L,) of equally many examples of every class, drawn at random from y (N,).

    Raises `BadInput` when the count is no multiple of the number of classes or more than there are, a class has too few
    examples or none, or a label is out of range.
    """
    check_range(y, n_classes, "training")
    k = n_classes or int(y.max()) + 1
    sizes = torch.bincount(y, minlength=k)
    each, rest = divmod(count, k)
    if rest or each < 1:
        raise BadInput(f"labels must be a multiple of the {k} classes, for a balanced draw; got {count}")
    if int(sizes.min()) < each:
        rare = int(sizes.argmin())
        raise BadInput(f"{count} labels ask for {each} examples of every class; class {rare} has {int(sizes.min())}")
    order = torch.randperm(len(y), generator=rng)
    return torch.cat([order[y[order] == c][:each] for c in range(k)]).sort().values


def check_range(y: Tensor, n_classes: int | None, which: str) -> None:
    """Refuses labels (N,) outside 0..K-1. Raises `BadInput` naming the first."""
    off = (y < 0) | (y >= n_classes) if n_classes else y < 0
    if off.any():
        row = int(off.nonzero()[0])
        top = "0 or more" if n_classes is None else f"0 to {n_classes - 1}"
        raise BadInput(f"{which} labels must be {top}; row {row} of {len(y)} is {int(y[row])}")
