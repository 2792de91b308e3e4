"""Scores for anybody's samples: arrays or tensors in, the benchmark's metrics out, with nothing trained.

`evaluate` scores one set, `compare` two sets on the same draws. Every metric draws from a stream of its own that
depends on the seed and the metric's name alone, so sets that are compared see the same directions, subsets and splits.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor

from ganbench import seeding
from ganbench.data import Mixture, check_domain, check_pixels
from ganbench.datasets.array import read_arrays
from ganbench.datasets.pictures import read_folder
from ganbench.errors import BadInput
from ganbench.metrics.base import Direction, Score
from ganbench.metrics.door import FLOATS, check_option, fresh_torch, plain
from ganbench.provenance.environment import scratch
from ganbench.registry import METRICS, MetricInfo
from ganbench.scorers.base import Scorer
from ganbench.scorers.load import load_scorer
from ganbench.scoring.provider import Provider, call, floors, there
from ganbench.stats import half_width


@dataclass(frozen=True)
class Difference:
    """A metric of set a minus that of set b, over blocks of samples that share reference and random draws."""

    name: str
    value: float  # mean over blocks of score(a) - score(b)
    se: float
    interval: tuple[float, float]  # 95 %, Student's t over blocks
    a: float  # mean over blocks
    b: float
    blocks: int
    n: int  # samples a block
    signature: str  # of the metric at that n
    direction: Direction

    @property
    def better(self) -> str | None:
        """ "a" or "b" where the interval excludes zero and the metric has a good direction, else None."""
        low, high = self.interval
        if self.direction not in ("min", "max") or low <= 0 <= high:
            return None
        return "a" if (low > 0) == (self.direction == "max") else "b"


def evaluate(
    samples: Any,
    reference: Any = None,
    metrics: Sequence[str] = ("mmd", "sliced_wasserstein", "wasserstein"),
    *,
    holdout: Any = None,
    train: Any = None,
    train_labels: Any = None,
    test_labels: Any = None,
    scorer: str | Scorer | None = None,
    mixture: Mixture | None = None,
    model: Any = None,
    probs: Any = None,
    reference_probs: Any = None,
    domain: tuple[float, float] | None = None,
    floor: bool = True,
    seed: int = 0,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Score]:
    """Scores of `samples` (N, *E) against `reference` (M, *E), one or several for each of `metrics`, in that order.

    Sets are numpy arrays or tensors on any device: float16, 32 or 64 in the domain of the data, or uint8 pixels, which
    are mapped to [-1, 1]; or paths of .npy, .npz or .safetensors files (array x or samples, or the only one), or of
    folders of PNG or JPEG images.
    Metrics that look through a classifier take its name (`ganbench list scorers`), an object with `probs`, `features`
    and `signature`, or the probabilities themselves; metrics of features take the events as they are when there is no
    scorer. `holdout` is real data that is not in `reference`: with it every score of samples has its real-against-real
    `floor`, at the smaller of the two sizes. `options` holds keywords for single metrics, such as
    {"wasserstein": {"p": 2, "n": None}}.

    >>> evaluate(my_samples, test_images, ["mmd", "wasserstein"], holdout=other_test_images)

    Raises `BadInput` for sets that cannot be used, naming argument and cure; `UnknownName` for a metric or scorer that
    nobody registered; `NotApplicable` for a metric whose inputs were not given, naming them.
    """
    sets = {"samples": samples, "reference": reference, "holdout": holdout, "train": train}
    with fresh_torch():
        look = load_scorer(scorer, mixture=mixture) if isinstance(scorer, str) else scorer
        given: dict[str, Any] = {
            **_sets(sets, domain, look),
            **_classes({"train_labels": train_labels, "test_labels": test_labels}),
            "probs": _tensor(probs, "probs"),
            "reference_probs": _tensor(reference_probs, "reference_probs"),
            "mixture": mixture,
            "model": model,
        }
        inputs = Given(given, look, seed)
        names = [metrics] if isinstance(metrics, str) else metrics
        return scores_of(names, inputs.with_floors() if floor else inputs, options)


def scores_of(
    names: Sequence[str], inputs: Provider, options: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Score]:
    """The scores that are named, in that order; a metric of several that is named by one of them is computed once."""
    entries = {name: METRICS.get(name) for name in names}
    functions = {entry.name for entry in entries.values()}
    choices: dict[str, dict[str, Any]] = {name: {} for name in functions}
    for name, chosen in (options or {}).items():
        if METRICS.get(name).name not in functions:
            raise BadInput(f"options name metrics that are not computed: {name}")
        choices[METRICS.get(name).name] |= chosen
    found: dict[str, list[Score]] = {}
    out: list[Score] = []
    for name in names:
        entry = entries[name]
        if entry.name not in found:
            start = time.perf_counter()
            with scratch() as used:
                scores = call(entry, inputs, choices[entry.name])
            seconds, peak = time.perf_counter() - start, used.get("bytes")
            real = floors(entry, inputs, choices[entry.name])
            found[entry.name] = [
                replace(s, seconds=seconds, peak_bytes=peak, floor=real[s.name].value if s.name in real else s.floor)
                for s in scores
            ]
        out += [s for s in found[entry.name] if name in (entry.name, s.name)]
    return out


def compare(
    a: Any,
    b: Any,
    reference: Any = None,
    metrics: Sequence[str] = ("mmd", "sliced_wasserstein", "wasserstein"),
    *,
    blocks: int = 10,
    scorer: str | Scorer | None = None,
    mixture: Mixture | None = None,
    holdout: Any = None,
    domain: tuple[float, float] | None = None,
    seed: int = 0,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Difference]:
    """Paired differences between two sets of samples, a minus b, with a Student interval over blocks.

    The sets and the reference are shuffled once and cut into `blocks` disjoint parts; part k of a and of b is scored
    against part k of the reference with the same random draws, so what they share cancels. Scores are those of the
    smaller n, whose bias cancels only as far as it is the same for both; `holdout` and mixture are shared whole.

    Raises what `evaluate` raises, and `BadInput` when a block would hold fewer than 10 samples.
    """
    blocks = check_option("blocks", blocks, int)
    names = [metrics] if isinstance(metrics, str) else metrics
    with fresh_torch():
        look = load_scorer(scorer, mixture=mixture) if isinstance(scorer, str) else scorer
        sets = _sets({"a": a, "b": b, "reference": reference, "holdout": holdout}, domain, look)
        shared = {"holdout": sets.pop("holdout"), "mixture": mixture}
        cut = _blocks(sets, blocks, seed)
        pairs: dict[str, list[tuple[Score, Score]]] = {}
        for k in range(blocks):
            of_block = shared | {"reference": cut["reference"][k]}
            one, other = (
                scores_of(names, Given(of_block | {"samples": cut[s][k]}, look, seed + k), options) for s in ("a", "b")
            )
            for p, q in zip(one, other, strict=True):
                pairs.setdefault(p.name, []).append((p, q))
    return [_difference(name, pair) for name, pair in pairs.items()]


def _blocks(sets: Mapping[str, Tensor | None], blocks: int, seed: int) -> dict[str, list[Any]]:
    """Each set shuffled and cut into disjoint parts of one size. Raises `BadInput` where they would be too small."""
    for name in ("a", "b"):
        if sets[name] is None:
            raise BadInput(f"{name} must be given: two sets are compared")
    least = min(len(x) for x in sets.values() if x is not None)
    if blocks < 2 or least // blocks < 10:
        raise BadInput(f"blocks must be at least 2 and leave 10 samples each; got {blocks} for {least} samples")
    cut: dict[str, list[Any]] = {}
    for name, x in sets.items():
        if x is None:
            cut[name] = [None] * blocks
            continue
        order = torch.randperm(len(x), generator=seeding.stream("metrics", "compare", seed)).to(x.device)
        cut[name] = [x[part] for part in order[: len(x) // blocks * blocks].view(blocks, -1)]
    return cut


def _difference(name: str, pairs: list[tuple[Score, Score]]) -> Difference:
    a, b = np.array([p.value for p, _ in pairs]), np.array([q.value for _, q in pairs])
    blocks, first = len(pairs), pairs[0][0]
    value, se = float((a - b).mean()), float((a - b).std(ddof=1)) / math.sqrt(blocks)
    half = half_width(se, blocks - 1)
    return Difference(
        name,
        value,
        se,
        (value - half, value + half),
        float(a.mean()),
        float(b.mean()),
        blocks,
        first.n,
        first.signature,
        first.direction,
    )


class Given(Provider):
    """Anybody's arrays; `real` has held-out events in place of the samples, for the floors."""

    def __init__(self, given: Mapping[str, Any], scorer: Scorer | None, seed: int, real: Given | None = None) -> None:
        super().__init__((seed,))
        self.seed = seed
        self.given = {name: value for name, value in given.items() if value is not None}
        self._scorer, self._real = scorer, real

    @property
    def scorer(self) -> Scorer | None:
        return self._scorer

    def brought(self, need: str) -> Any:
        return self.given.get(need)

    def get(self, need: str, entry: MetricInfo) -> Any:
        value = super().get(need, entry)
        return there(value, f"{entry.name} needs {need}; pass {_HOW.get(need, f'{need}=...')}")

    def of(self, need: str) -> Any:
        return self.given[need] if need in self.given else super().of(need)

    def with_floors(self) -> Given:
        """The same; where there is a holdout, floors are scores of it, no more of them than there are samples."""
        if {"samples", "holdout"} <= self.given.keys() and "model" not in self.given:
            given = {k: v for k, v in self.given.items() if k not in ("probs", "features")}
            real = Given(given | {"samples": given["holdout"][: len(given["samples"])]}, self.scorer, self.seed)
            return Given(self.given, self.scorer, self.seed, real)
        return self

    def real(self, entry: MetricInfo) -> Given | None:
        return None if "holdout" in entry.needs else self._real


_HOW = {
    "probs": "scorer=... or probs=...",
    "reference_probs": "reference=... with scorer=..., or reference_probs=...",
    "reference_features": "reference=...",
    "train_features": "train=...",
}


def _opened(x: Any) -> Any:
    """The contents of a set that was named by its path, else the set."""
    if not isinstance(x, str | os.PathLike):
        return x
    path = Path(x)
    return torch.from_numpy(read_folder(path)) if path.is_dir() else read_arrays(path)["x"]


def _tensor(x: Any, name: str) -> Tensor | None:
    """A tensor without its history, or an array's numbers in the machine's byte order. Raises `BadInput`."""
    if x is None:
        return None
    if isinstance(x, Tensor):
        if x.layout != torch.strided or x.is_meta or x.is_quantized:
            raise BadInput(f"{name} must be a dense tensor with its numbers; got {x.layout} on {x.device}")
        return cast(Tensor, plain(x))
    if issparse(x):
        raise BadInput(f"{name} must be dense; got {type(x).__name__}; use {name}.toarray()")
    if isinstance(x, np.ma.MaskedArray):
        masked = np.ma.getmaskarray(x)
        if masked.any():
            raise BadInput(
                f"{name} must not be masked; row {int(np.argwhere(masked.reshape(len(masked), -1))[0, 0])} is, in part "
                "or whole; drop such rows or fill them"
            )
        x = x.data
    try:
        array = np.asarray(x)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name} must be a numpy array or a tensor; got {type(x).__name__} ({error})") from None
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise BadInput(
            f"{name} must be a numpy array or a tensor of numbers; got {type(x).__name__} of {array.dtype}; "
            "use .astype(float)"
        )
    array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False)).reshape(array.shape)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _sets(sets: dict[str, Any], domain: tuple[float, float] | None, scorer: Scorer | None) -> dict[str, Tensor | None]:
    """Sets of events as float tensors of one type on one device, in the domain, and in that of the scorer."""
    opened = {name: _opened(x) for name, x in sets.items()}
    _same_kind(opened)
    made = _alike({name: to_events(x, name, domain) for name, x in opened.items()})
    takes = getattr(scorer, "domain", None)
    for name, x in made.items():
        if takes is not None and x is not None and bool(torch.isfinite(x).all()):
            low, high = map(float, torch.aminmax(x))
            check_domain(low, high, takes, name)
    return made


def _classes(labels: dict[str, Any]) -> dict[str, Tensor | None]:
    """Labels as int64 classes from 0 on: one that no event has would count as a class. Raises `BadInput`."""
    made = {name: _tensor(y, name) for name, y in labels.items()}
    lowest = {}
    for name, y in made.items():
        if y is None:
            continue
        if y.ndim != 1 or y.is_floating_point() or y.is_complex() or y.dtype == torch.bool or not len(y):
            raise BadInput(f"{name} must be integer class labels (N,); got {y.dtype} {tuple(y.shape)}")
        made[name] = y.long()
        lowest[name] = int(y.min())
    if lowest and min(lowest.values()) != 0:
        name = min(lowest, key=lowest.__getitem__)
        raise BadInput(f"{name} must be classes from 0 on; the smallest is {lowest[name]}; subtract it")
    return made


def to_events(x: Any, name: str, domain: tuple[float, float] | None) -> Tensor | None:
    """A set of events as float tensor; uint8 pixels go to [-1, 1], half precision to single."""
    t = _tensor(x, name)
    if t is None:
        return None
    if t.ndim < 2:
        cure = f"; use {name}.reshape(-1, 1)" if t.ndim else ""
        raise BadInput(f"{name} must have shape (N, *event); got {tuple(t.shape)}{cure}")
    if len(t) == 0 or t.numel() == 0:
        raise BadInput(f"{name} must hold at least one event; got shape {tuple(t.shape)}")
    if t.dtype == torch.uint8:
        check_pixels(int(t.max()), name)
        return t.float().div_(127.5).sub_(1)
    if t.dtype not in FLOATS:
        raise BadInput(f"{name} must be floating point, or uint8 pixels; got {t.dtype}; convert it first")
    t = t.float() if t.dtype in (torch.float16, torch.bfloat16) else t
    if domain is not None:
        low, high = domain
        off = ((t < low) | (t > high)).flatten(1).any(1)
        if off.any():
            row = int(off.nonzero()[0])
            raise BadInput(
                f"{name} must lie in [{low}, {high}]; row {row} spans [{float(t[row].min()):.4g}, "
                f"{float(t[row].max()):.4g}]; rescale it, or pass uint8 pixels"
            )
    return t


def _alike(sets: dict[str, Tensor | None]) -> dict[str, Tensor | None]:
    """The sets in the widest of their float types, on the device of the first."""
    here = [x for x in sets.values() if x is not None]
    if not here:
        return sets
    dtype = torch.float64 if any(x.dtype == torch.float64 for x in here) else torch.float32
    return {name: x if x is None else x.to(here[0].device, dtype) for name, x in sets.items()}


def _same_kind(sets: Mapping[str, Any]) -> None:
    """Refuses pixels beside floats: one of them would be off by a factor of 127.5."""
    pixels = {name: str(x.dtype).endswith("uint8") for name, x in sets.items() if hasattr(x, "dtype")}
    if len(set(pixels.values())) > 1:
        names = [" and ".join(n for n, p in pixels.items() if p is kind) for kind in (True, False)]
        raise BadInput(
            f"{', '.join(pixels)} must both be uint8 pixels or both floats; got uint8 in {names[0]}, floats in "
            f"{names[1]}; convert one"
        )
