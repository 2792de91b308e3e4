"""What flows between data sets, models and metrics: the spec of the data, its splits, batches, and exact mixtures.

Shapes      B batch, N examples, K modes or classes, D dimensions, *E event shape, e.g. (2,) or (1, 28, 28),
            *C condition shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import torch
from torch import Tensor

from ganbench.data.density import Density
from ganbench.errors import BadInput, NotApplicable

HORIZON = 5  # frames at the end of a clip that are to be predicted from those before
EventKind = Literal["vector", "image", "tokens", "clip"]  # (D,), (C, H, W), (L,) int64, (T, C, H, W)
ConditionKind = Literal["image", "tokens", "attributes"]  # (C, H, W) in [-1, 1], (L,) int64, (A,) of -1 and 1


@dataclass(frozen=True)
class Condition:
    """What an event is to be made from, beside or in place of a class.

    Train rows of x and condition belong together where the data is paired; elsewhere they come from disjoint examples,
    so that no pair exists. Test rows always belong together: their x is the hidden truth.
    """

    kind: ConditionKind
    shape: tuple[int, ...]
    paired: bool = True
    vocabulary: int | None = None  # words of a token condition
    names: tuple[str, ...] = ()  # of the attributes, or of the words


@dataclass(frozen=True)
class DataSpec:
    """What a model may know of the data before it sees any."""

    name: str
    event_shape: tuple[int, ...]  # (D,) for vectors, (C, H, W) for images
    domain: tuple[float, float] | None = None  # (-1, 1) for images; None for unbounded vectors
    n_classes: int | None = None  # None where the data has no labels
    n_train: int = 0
    n_eval: int = 0  # samples that protocols draw at most: the size of the test split for finite data
    version: int = 1
    sha256: str = ""  # of the train, holdout and test tensors
    vocabulary: int | None = None  # words of token events (L,) int64, padded with -1; None for all other events
    cond: Condition | None = None  # what events are made from, where the data says so

    @property
    def kind(self) -> EventKind:
        """What one event is."""
        if self.vocabulary is not None:
            return "tokens"
        return {3: "image", 4: "clip"}.get(len(self.event_shape), "vector")  # type: ignore[return-value]

    @property
    def is_image(self) -> bool:
        """True for events of shape (C, H, W)."""
        return self.kind == "image"

    def classes_for(self, model: str) -> int:
        """K, for a model that learns classes. Raises `NotApplicable` for data that has none."""
        if self.n_classes is None:
            raise NotApplicable(f"{model} learns classes; {self.name} has none")
        return self.n_classes

    @property
    def n_dims(self) -> int:
        """Numbers in one event."""
        return math.prod(self.event_shape)


def check_domain(low: float, high: float, domain: tuple[float, float], name: str, image: bool = True) -> None:
    """Refuses numbers from `low` to `high` that leave the domain, or evidently are of another range. Raises `BadInput`.

    A thousandth of the domain beyond its ends is rounding. Images that never go below 0, where the domain does, are
    taken for [0, 1].
    """
    start, end = domain
    slack = 1e-3 * (end - start)
    if low < start - slack or high > end + slack:
        hint = "; these look like 0..255 pixels: save them as uint8" if 1.5 < high <= 256 and low >= 0 else ""
        raise BadInput(f"{name} must lie in [{start:g}, {end:g}]; got [{low:.4g}, {high:.4g}]{hint}")
    if image and start < 0 <= low:
        raise BadInput(
            f"{name} must span [{start:g}, {end:g}]; got [{low:.4g}, {high:.4g}]: images in [0, 1]? "
            "use x * 2 - 1, or save uint8"
        )


def check_pixels(largest: int, name: str) -> None:
    """Refuses uint8 images that hold only 0 and 1. Raises `BadInput`."""
    if largest <= 1:
        raise BadInput(f"{name}: uint8 pixels run from 0 to 255; the largest is {largest}: floats cast to uint8?")


class Simulates(Protocol):
    """What made clips, and knows how they go on."""

    def after(self, frames: Tensor, k: int) -> Tensor:
        """The k frames that follow clips that it made: (B, S, C, H, W) -> (B, k, C, H, W)."""
        ...


@dataclass(frozen=True)
class Split:
    """Examples held in memory: float32 in the domain, or uint8 pixels that `events` maps to [-1, 1]."""

    x: Tensor  # (N, *E) float32 or uint8
    y: Tensor | None = None  # (N,) int64 labels
    labelled: Tensor | None = None  # (L,) indices of the only labels a few-label model may see
    cond: Tensor | None = None  # (N, *C) what each event is made from; (M, *C) in an unpaired train split
    density: Density | None = None  # the law itself, for models that register needs=("density",)
    simulator: Simulates | None = None  # what made the test clips, for the control that registers needs=("simulator",)

    def __len__(self) -> int:
        return len(self.x)

    def events(self, index: Tensor | slice | None = None) -> Tensor:
        """Examples as float32 in the domain: (N, *E), or the rows that `index` picks."""
        return _in_domain(self.x if index is None else self.x[index])

    def conditions(self, index: Tensor | slice | None = None) -> Tensor | None:
        """Conditions as models see them, pixels as float32 in [-1, 1]: (N, *C), or the rows that `index` picks."""
        if self.cond is None:
            return None
        return _in_domain(self.cond if index is None else self.cond[index])

    def to(self, device: torch.device) -> Split:
        """The same examples on `device`."""
        y, labelled, cond = (None if t is None else t.to(device) for t in (self.y, self.labelled, self.cond))
        density = None if self.density is None else self.density.to(device)
        return Split(self.x.to(device), y, labelled, cond, density, self.simulator)

    def with_labels(self, index: Tensor) -> Split:
        """The same examples where only the labels at `index` (L,) may be used: all others become -1."""
        if self.y is None:
            raise BadInput("labels can be drawn only from examples that have labels")
        y = torch.full_like(self.y, -1)
        y[index] = self.y[index]
        return replace(self, y=y, labelled=index)


@dataclass(frozen=True)
class Batch:
    """What a player's loss receives. Every random draw comes from `rng`."""

    x: Tensor  # (B, *E)
    rng: torch.Generator
    y: Tensor | None = None  # (B,) labels, for models that register needs=("y",)
    x_labelled: Tensor | None = None  # (L, *E) for models that register needs=("labels",)
    y_labelled: Tensor | None = None  # (L,)
    cond: Tensor | None = None  # (B, *C) for models that register needs=("cond",); of x's own rows in paired data
    rows: Tensor | None = None  # (B,) of x in the training data, for models that register needs=("rows",)

    @property
    def labelled(self) -> tuple[Tensor, Tensor]:
        """The few events whose labels may be seen, and these, for models that register needs=("labels",)."""
        assert self.x_labelled is not None
        assert self.y_labelled is not None
        return self.x_labelled, self.y_labelled


def _in_domain(x: Tensor) -> Tensor:
    """uint8 pixels as float32 in [-1, 1]; anything else as it is."""
    return x.float().div_(127.5).sub_(1) if x.dtype == torch.uint8 else x


class Epochs(Iterator[Tensor]):
    """Endless index batches (B,): each epoch a fresh permutation, the short tail dropped (B > n draws with repeats)."""

    def __init__(self, n: int, batch_size: int, rng: torch.Generator) -> None:
        self.n, self.batch_size, self.rng = n, batch_size, rng
        self.ahead: list[Tensor] = []  # batches of this epoch, the next one last

    def __next__(self) -> Tensor:
        if self.batch_size > self.n:
            return torch.randint(self.n, (self.batch_size,), generator=self.rng, device=self.rng.device)
        if not self.ahead:
            self.rest = torch.randperm(self.n, generator=self.rng, device=self.rng.device)
        return self.ahead.pop()

    @property
    def rest(self) -> Tensor:
        """Indices that this epoch will still give, in order."""
        return torch.cat(self.ahead[::-1]) if self.ahead else torch.empty(0, dtype=torch.int64)

    @rest.setter
    def rest(self, order: Tensor) -> None:
        whole = len(order) - len(order) % self.batch_size
        self.ahead = list(order[:whole].to(self.rng.device).view(-1, self.batch_size).unbind())[::-1]


@dataclass(frozen=True)
class Mixture:
    """An isotropic Gaussian mixture with equal weights: exact density, modes, posterior and draws."""

    means: Tensor  # (K, D)
    std: float

    def component_log_prob(self, x: Tensor) -> Tensor:
        """log N(x; mean_k, std^2 I) in nats: (B, D) -> (B, K) in float64."""
        x, means = x.double(), self.means.to(x.device).double()
        d = means.shape[1]
        square = (x[:, None] - means).square().sum(-1)
        return -square / (2 * self.std**2) - d * (math.log(self.std) + 0.5 * math.log(2 * math.pi))

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log density in nats: (B, D) -> (B,)."""
        return torch.logsumexp(self.component_log_prob(x), 1) - math.log(len(self.means))

    def posterior(self, x: Tensor) -> Tensor:
        """Exact probability of each mode given x: (B, D) -> (B, K)."""
        return torch.softmax(self.component_log_prob(x), 1)

    def sample(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw n points: -> (n, D) float32 and the modes (n,) they came from."""
        k = torch.randint(len(self.means), (n,), generator=rng)
        noise = torch.randn(n, self.means.shape[1], generator=rng)
        return self.means[k] + self.std * noise, k


@dataclass(frozen=True)
class WordRatings:
    """How alike or related pairs of words are to people, or by what is known of them."""

    pairs: Tensor  # (P, 2) int64 words
    ratings: Tensor  # (P,) float64
    listed: int  # pairs of the whole list, those of unknown words too


@dataclass(frozen=True)
class Text:
    """What is known of the words and documents of token events; metrics look at it, models never do."""

    words: tuple[str, ...]  # (V,) how they are spelt
    ratings: Mapping[str, WordRatings] = field(default_factory=dict)  # by the name of the list, the main one first
    analogies: Mapping[str, Tensor] = field(default_factory=dict)  # section -> (Q, 4) int64: a is to b as c is to d
    document_ratings: Tensor | None = None  # (M, M) float64 how alike two documents of the test split are
