"""The contract of a data set: three splits in memory, a spec with a hash, and the density where it is known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from ganbench import seeding
from ganbench.data import Condition, DataSpec, Mixture, Simulates, Split, Text, check_domain
from ganbench.data.conditions import check_attributes, check_tokens
from ganbench.data.density import Answers
from ganbench.errors import BadInput
from ganbench.ops.spectrograms import Sound

MAX_BYTES = 8 * 2**30  # what one user-given data set may fill

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True)
class Rendered:
    """What the test split's pictures were rendered from, so that any counterfactual of them can be."""

    glyphs: Tensor  # (N, 1, h, h) in [0, 1]
    values: Tensor  # (N, A) int64


@dataclass(frozen=True)
class Dataset:
    """`train` is for models, `test` is the reference of metrics, `holdout` calibrates and is the oracle row."""

    spec: DataSpec
    train: Split
    holdout: Split
    test: Split
    mixture: Mixture | None = None
    rendered: Rendered | None = None
    answers: Answers | None = None  # what is true of the density that its splits hold
    simulator: Simulates | None = None  # what made the test clips
    sound: Sound | None = None  # how its images stand for waves
    text: Text | None = None


@dataclass(frozen=True)
class Source:
    """Where a data set may look: `root` for torchvision's layout, `argument` after the colon of folder:PATH."""

    root: Path | None = None  # --data-dir or GANBENCH_DATA
    argument: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # in the brackets of folder[resize=32]:PATH
    download: bool = False  # only `ganbench data get` sets it


def dataset(
    name: str,
    *,
    event: str,  # "vector", "image", "tokens" or "clip"; "any" where only the loaded spec can tell
    iterations: dict[str, int] | None = None,  # of one plain GAN, for smoke, quick, standard; None: the usual ones
    small: bool = False,  # events of few numbers, whose steps are cheap: more iterations are usual
    step: float | None = None,  # seconds of one of them on one core, as rows of boards took; None: not measured
    labelled: bool = False,
    cond: str = "",  # "image", "tokens" or "attributes" where events are to be made from one
    paired: bool = True,  # whether the train split's conditions belong to its events row by row
    scorer: str = "",  # the scorer metrics look through by default
    prefix: bool = False,  # named with an argument, as in folder:PATH
    options: bool = False,  # may be named with options before it, as in folder[resize=32]:PATH
    # What may be asked of the law, where it is given: "value", "gradient", "conditionals", "factors", "subspaces".
    density: tuple[str, ...] = (),
    builtin: bool = False,  # needs no files: part of the suite `all`
    greatest: dict[str, float] | None = None,  # scores that the data bounds, such as counts of its modes
    extra: str = "",  # the extra of ganbench whose package holds it, where it is not read from a data directory
    version: int = 1,
) -> Callable[[F], F]:
    """Register `(source: Source) -> Dataset` as the data set `name`; arguments must be literals."""

    def mark(function: F) -> F:
        return function

    return mark


def assemble(
    name: str,
    train: Split,
    holdout: Split,
    test: Split,
    *,
    domain: tuple[float, float] | None = None,
    n_classes: int | None = None,
    mixture: Mixture | None = None,
    cond: Condition | None = None,
    vocabulary: int | None = None,
    rendered: Rendered | None = None,
    answers: Answers | None = None,
    simulator: Simulates | None = None,
    sound: Sound | None = None,
    text: Text | None = None,
    version: int = 1,
) -> Dataset:
    """Three splits as a data set, its spec filled in from them. Raises `BadInput` for conditions that do not fit."""
    check_conditions(cond, train, holdout, test, domain)
    spec = DataSpec(
        name=name,
        event_shape=tuple(train.x.shape[1:]),
        domain=domain,
        n_classes=n_classes,
        n_train=len(train),
        n_eval=len(test),
        version=version,
        sha256=fingerprint(train, holdout, test),
        cond=cond,
        vocabulary=vocabulary,
    )
    return Dataset(spec, train, holdout, test, mixture, rendered, answers, simulator, sound, text)


def check_conditions(
    cond: Condition | None, train: Split, holdout: Split, test: Split, domain: tuple[float, float] | None = None
) -> None:
    """Refuse conditions of the wrong shape, kind or range, or not aligned where they must be. Raises `BadInput`.

    Images are of the range of the events, where these have one.
    """
    for name, split in (("train", train), ("holdout", holdout), ("test", test)):
        if (split.cond is None) != (cond is None):
            raise BadInput(f"all splits must hold conditions or none; the {name} split breaks that")
        if cond is None or split.cond is None:
            continue
        if tuple(split.cond.shape[1:]) != cond.shape:
            raise BadInput(f"{name} conditions must have shape {cond.shape}; got {tuple(split.cond.shape[1:])}")
        if len(split.cond) != len(split) and (cond.paired or name != "train"):
            raise BadInput(f"{name} must hold one condition per event; got {len(split.cond)} for {len(split)}")
        _check_values(cond, split.cond, f"{name} conditions", domain)


def _check_values(cond: Condition, held: Tensor, name: str, domain: tuple[float, float] | None) -> None:
    """Refuse numbers that are none of the condition's kind. Raises `BadInput`."""
    try:
        if cond.kind == "tokens":
            check_tokens(held, cond)
        elif cond.kind == "attributes":
            check_attributes(held, len(held), cond)
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from None
    if cond.kind == "image" and held.dtype != torch.uint8:
        if not held.is_floating_point() or not bool(torch.isfinite(held).all()):
            raise BadInput(f"{name} must be uint8 pixels or finite floats; got {held.dtype}, not all finite")
        if domain is not None:
            check_domain(float(held.min()), float(held.max()), domain, name, image=False)


def fingerprint(*splits: Split) -> str:
    """sha256 over shapes, dtypes and bytes of the splits' events, labels and conditions."""
    digest = hashlib.sha256()
    for split in splits:
        for t in (split.x, split.y, split.cond):
            if t is not None:
                digest.update(f"{tuple(t.shape)}{t.dtype}".encode())
                digest.update(t.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def stratified_split(y: Tensor, sizes: tuple[int, ...], rng: torch.Generator) -> list[Tensor]:
    """Disjoint indices of the given sizes (they sum to N) with every class spread evenly over the parts, shuffled.

    Rows are shuffled, sorted by class, and dealt out so that each part holds its share of any stretch of that order.
    """
    n = len(y)
    order = torch.randperm(n, generator=rng)
    order = order[torch.sort(y[order], stable=True).indices]
    # Row j of a part of size s stands at (j + 1/2) / s of the way: sorting by that deals all parts out evenly.
    place = torch.cat([(torch.arange(s, dtype=torch.float64) + 0.5) / s for s in sizes])
    part = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    part = part[torch.sort(place, stable=True).indices]
    parts = [order[part == k] for k in range(len(sizes))]
    return [rows[torch.randperm(len(rows), generator=rng)] for rows in parts]


def split_finite(x: Tensor, y: Tensor | None, parts: int) -> list[Split]:
    """Shuffled parts of finite data: train, then holdout and test as `parts` asks, a fifth each and at most 10,000.

    The draw is fixed and, where there are labels, stratified. Raises `BadInput` under 10 rows.
    """
    n = len(x)
    if n < 10:
        raise BadInput(f"a data set needs at least 10 examples to be split; got {n}")
    held = min(n // 5, 10_000)
    sizes = (n - held * (parts - 1),) + (held,) * (parts - 1)
    rows = stratified_split(torch.zeros(n) if y is None else y, sizes, seeding.stream("data", "split", n, parts))
    return [Split(x[i], None if y is None else y[i]) for i in rows]


def check_size(n_bytes: int, name: str) -> None:
    """Refuse, before decompressing it, data that would fill more than `MAX_BYTES`. Raises `BadInput`."""
    if n_bytes > MAX_BYTES:
        raise BadInput(
            f"{name} would take {n_bytes / 2**30:.1f} GiB in memory; the limit is {MAX_BYTES / 2**30:.0f} GiB; "
            f"use fewer or smaller examples"
        )
