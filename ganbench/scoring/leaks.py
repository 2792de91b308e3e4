"""Looks for samples that lie closer to one split of the data than those of an honest generator can.

A generator that never saw the test split treats test and holdout alike: had the two changed places, its samples would
be the same. So the events of both are pooled, and how much more often a sample's nearest event is of one split than of
the other is compared with what 999 random relabellings of the pool give. The level is exact whatever the generator is,
good or bad, collapsed or not (a permutation test); its largest statistic over thresholds, views and files corrects for
all of them at once (Westfall and Young 1993, max-T).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganbench import seeding
from ganbench.datasets.base import Dataset

Array = NDArray[np.float64]
Bits = NDArray[np.uint8]
LEVEL = 0.005  # how often an honest submission is flagged, over all its files, splits and data sets
RELABELLINGS = 999  # at least; more where the level asks for it
FEW = 8  # dimensions up to which a k-d tree is faster than all distances
BLOCK = 4096  # events that distances are taken to at once
LOOKED_AT = 2500  # samples taken of each file
NEIGHBOURS = 16  # of each sample in the pool: all of one split with a probability of 2**-15
# A sample counts when it is nearer to a split than `q` times its distance to the other. The sign alone (1) sees small
# moves in few dimensions, where distances vary much; a small q sees few copies among many fresh samples.
RATIOS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.35)
# Where test and holdout are not draws of one known density, as of MNIST, whose test digits are by other writers, an
# honest but poor generator may lie somewhat nearer to one of them, but not far nearer with more than a few samples.
FAR = RATIOS[2:]
FEW_OF_THEM = 0.05
# Of a model's training data only what lies far closer than unseen data says that it was memorised: every model leans
# towards its training data, the best fitted Gaussian mixture on digits with 3 % of its samples at a ratio of 0.7.
CLOSE = (0.7, 0.6, 0.5, 0.35)
ON = 0.05  # a plain copy lies nearer to its event than this share of the usual distance between real neighbours
TWINS = 0.2  # share of rows with a twin in another seed's file above which the two count as one
MEMORISED = 0.05  # share of such samples above which it is said


@dataclass(frozen=True)
class Leak:
    """A file whose samples lie too close to a split."""

    file: int
    split: str  # test, holdout or train
    share: float  # of the samples, at least: those nearer to it, beyond what relabelled events show
    p: float  # of so large a lean in any file, had test and holdout been dealt out at random


def find_leaks(files: Sequence[Tensor], dataset: Dataset, level: float = LEVEL) -> list[Leak]:
    """Files (N, *E) of one submission that know test or holdout events, or give back those they were trained on.

    `level` bounds the chance that any honest file is among them.
    """
    rng = seeding.stream("metrics", dataset.spec.name, "leaks")
    taken = [x[torch.randperm(len(x), generator=rng)[:LOOKED_AT]] for x in files]
    m = min(len(dataset.test), len(dataset.holdout))
    test, holdout = (s.events(torch.randperm(len(s), generator=rng)[:m]) for s in (dataset.test, dataset.holdout))
    train, image = dataset.train.events(), dataset.spec.is_image
    found: list[Leak] = []
    if m > 1:
        known = dataset.mixture is not None
        hidden = _leans(taken, {"test": test, "holdout": holdout}, RATIOS if known else FAR, level / 2, rng, image)
        found += [leak for leak in hidden if known or leak.share > FEW_OF_THEM]
        unseen = dataset.mixture.sample(len(train), rng)[0] if dataset.mixture else torch.cat([test, holdout])
        seen = _leans(taken, {"train": train, "unseen": unseen}, CLOSE, level / 2, rng, image)
        found += [leak for leak in seen if leak.split == "train" and leak.share > MEMORISED]
    return found


def _leans(
    files: Sequence[Tensor],
    splits: Mapping[str, Tensor],
    ratios: Sequence[float],
    level: float,
    rng: torch.Generator,
    image: bool,
) -> Iterator[Leak]:
    """Files that lean to one of two splits more than relabelling the pooled events explains."""
    first, second = splits.values()
    labels = labellings(len(first), len(second), max(RELABELLINGS, math.ceil(2 / level)), rng)
    leans = [lean(x, first, second, labels, ratios, image) for x in files]
    # Two samples at least belong to a spread: a single rare event is no evidence.
    z = [(s - s.mean(0)) / np.sqrt(s.var(0) + (2 / LOOKED_AT) ** 2) for s in leans]
    largest = np.max([np.abs(one).max(1) for one in z], 0)  # (P,): over files, views and ratios
    for i, s in enumerate(leans):
        for sign, name in zip((1, -1), splits, strict=True):
            p = float((largest >= (sign * z[i][0]).max()).mean())
            if p <= level:
                share = sign * (s[0] - s.mean(0)) / (1 - sign * s.mean(0))
                yield Leak(i, name, float(share.max()), p)


def copied_share(x: Tensor, real: Tensor, fresh: Tensor) -> float:
    """Share of x (N, *E) that lies on `real` (M, *E), less what `fresh` real events (K, *E) show by chance."""
    usual = nearest(fresh.flatten(1), real.flatten(1))[0]
    near = ON * float(usual.median())
    lies_on = nearest(x.flatten(1), real.flatten(1))[0] <= near
    return float(lies_on.double().mean() - (usual <= near).double().mean())


def same_set(x: Tensor, y: Tensor) -> bool:
    """Whether two files (N, *E) are one set in another order, or nearly: rows of x have a twin in y, not in x.

    Independent draws of one model lie as far from each other as from those of another seed: then 6 % of the rows have
    a four times nearer neighbour in y than in x in two dimensions, and almost none in many.
    """
    a, b = x.flatten(1), y.flatten(1)
    if torch.equal(_sorted(a), _sorted(b)):
        return True
    rows = a[:LOOKED_AT]
    own = nearest(rows, a, 2)[0][:, 1]  # the first is the row itself
    return float((nearest(rows, b)[0][:, 0] < own / 4).double().mean()) > TWINS


def _sorted(rows: Tensor) -> Tensor:
    """Rows (N, D) in lexicographic order."""
    found = rows.numpy()
    return torch.from_numpy(found[np.lexsort(found.T[::-1])])


def labellings(m: int, k: int, count: int, rng: torch.Generator) -> Bits:
    """Which of m + k pooled events are of the first split: as it is, then relabelled: -> (m + k, (count + 1) / 8)."""
    count += -(count + 1) % 8
    if m == k:  # swaps within pairs are as exact as all permutations, and come as random bits
        swaps = torch.randint(256, (m, (count + 1) // 8), generator=rng, dtype=torch.uint8).numpy()
        swaps[:, 0] |= 0x80
        return np.concatenate([swaps, ~swaps])
    truth = torch.arange(m + k) < m
    orders = (torch.randperm(m + k, generator=rng) if i else torch.arange(m + k) for i in range(count + 1))
    eights = (np.stack([truth[o].numpy() for o in islice(orders, 8)], 1) for _ in range(0, count + 1, 8))
    return np.concatenate([np.packbits(e, axis=1) for e in eights], 1)


def lean(x: Tensor, first: Tensor, second: Tensor, labels: Bits, ratios: Sequence[float], image: bool) -> Array:
    """Share of x (N, *E) nearer to the first split less that nearer to the second, per labelling: -> (P, views x Q)."""
    columns = []
    for rows, pool in views(x, torch.cat([first, second]), image):
        distances, index = nearest(rows, pool, min(NEIGHBOURS, len(pool)))
        columns.append(leanings(distances.numpy(), index.numpy(), labels, ratios))
    return np.concatenate(columns, 1)


def leanings(distances: Array, index: NDArray[np.int64], labels: Bits, ratios: Sequence[float]) -> Array:
    """`lean` for one view, from each row's nearest pooled events in order, both (N, K): -> (P, Q).

    A row counts for the side of its nearest event if all events within 1 / q times that distance are of that side. The
    labellings are bits, eight to a byte, so that one operation treats them all.
    """
    side = labels[index[:, 0]]  # (N, P / 8)
    agrees = [~(labels[index[:, j]] ^ side) for j in range(1, index.shape[1])]
    shares = []
    for q in ratios:
        alone = np.full_like(side, 0xFF)
        for j, same in enumerate(agrees, 1):
            within = q * distances[:, j] <= distances[:, 0]
            if not within.any():  # distances are in order
                break
            alone[within] &= same[within]
        here, there = (np.unpackbits(alone & s, axis=1).sum(0, dtype=np.int64) for s in (side, ~side))
        shares.append((here - there) / len(index))
    return np.stack(shares, 1)


def views(x: Tensor, pool: Tensor, image: bool) -> Iterator[tuple[Tensor, Tensor]]:
    """Samples and events as rows: as they are; pictures also without brightness and contrast."""
    a, b = x.flatten(1), pool.flatten(1)
    yield a, b
    if image:
        yield tuple(torch.nn.functional.normalize(t - t.mean(1, keepdim=True), dim=1) for t in (a, b))  # type: ignore[misc]


def nearest(x: Tensor, real: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """The k nearest of `real` (M, D) for each row of x (N, D), by Euclidean distance: -> (N, k), (N, k)."""
    if x.shape[1] <= FEW:
        from scipy.spatial import cKDTree

        found = cKDTree(real.double().numpy()).query(x.double().numpy(), list(range(1, k + 1)))
        return torch.from_numpy(found[0]), torch.from_numpy(found[1])
    exact = x.shape[1] <= 64  # direct differences; for more the fast product form is precise enough
    a, b = (x.double(), real.double()) if exact else (x, real)
    mode = "donot_use_mm_for_euclid_dist" if exact else "use_mm_for_euclid_dist"
    best, index = torch.full((len(a), k), math.inf, dtype=a.dtype), torch.zeros(len(a), k, dtype=torch.long)
    for start in range(0, len(b), BLOCK):
        part = b[start : start + BLOCK]
        near, where = torch.cdist(a, part, compute_mode=mode).topk(min(k, len(part)), 1, largest=False)
        best, order = torch.cat([best, near], 1).topk(k, 1, largest=False)
        index = torch.cat([index, where + start], 1).gather(1, order)
    return best, index
