"""The contract of a model: a config, networks built for a data spec, and players with their losses.

Shapes      B batch, Z latent, K classes, F features, *E event shape, e.g. (2,) or (1, 28, 28).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, TypeVar, dataclass_transform

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor, nn
from torch.optim import Optimizer

from ganbench.data import Batch, DataSpec, Split
from ganbench.data.density import Inferred
from ganbench.errors import BadConfig, NotApplicable, UnknownName
from ganbench.nn.moments import without_trace

# Ranges of config fields: checked whenever a config is made, and named in the error.
Count = Annotated[int, Ge(1)]
Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Lt(1)]
Probability = Annotated[float, Ge(0), Le(1)]

Capability = Literal[
    "sample", "encode", "from_codes", "reconstruct", "classify", "log_prob", "inpaint", "features", "cluster",
    "tangents", "vary", "translate", "translate_back", "edit", "project", "predict", "embed", "embed_words",
    "estimate",
]  # fmt: skip
SMALL = 100  # numbers in an event below which papers' networks for 28x28 images are out of proportion
M = TypeVar("M", bound="type[Model]")


@dataclass_transform(frozen_default=True)
@dataclass(frozen=True)
class Config:
    """Hyperparameters; the defaults are the paper's. Field types are checked, with the ranges above, on creation.

    A class `Config(Model.Config)` in a model is a frozen dataclass without being marked as one.
    """

    batch_size: Count = 64

    def __post_init__(self) -> None:
        _check_fields(self)

    def override(self, /, **changes: Any) -> Config:
        """A copy with some fields changed; strings are parsed. Raises `UnknownName` or `BadConfig`."""
        known = [f.name for f in fields(self)]
        for name in changes:
            if name not in known:
                raise UnknownName(f"config field of {type(self).__qualname__}", name, known)
        return replace(self, **changes)


@dataclass(frozen=True)
class Defaults:
    """Values of config fields that hold on some kinds of data in place of the fields' own.

    A class that states a table states all of it: what its base says on images holds for it only where it says so too.
    """

    image: Mapping[str, Any] = field(default_factory=dict)  # on images, as in the paper's own runs there
    small: Mapping[str, Any] = field(default_factory=dict)  # on events of fewer than SMALL numbers, images or not

    def on(self, spec: DataSpec) -> dict[str, Any]:
        """Those for this data; where it is a small image and both rows name a field, `small` holds."""
        return {**(self.image if spec.is_image else {}), **(self.small if spec.n_dims < SMALL else {})}


@dataclass(frozen=True)
class Player:
    """One party of the game: the parameters it moves and the loss it moves them by."""

    name: str
    module: nn.Module  # its parameters, and only they, move on this player's turn
    loss: Callable[[Batch], Tensor]  # pure: batch in, scalar out; every draw from the rng in the batch
    optimizer: Callable[..., Optimizer]
    updates: int | Callable[[int], int] = 1  # turns per iteration, or a schedule of them
    after: Callable[[], None] | None = None  # after each turn: weight clipping, k_t of BEGAN, EMA, running averages
    schedule: Callable[[float], float] | None = None  # learning-rate factor at a share of the budget; None: the model's
    span: tuple[float, float] = (0.0, 1.0)  # plays from this share of the budget to that: (0, 0.5) pretrains


@dataclass(frozen=True)
class Budget:
    """How long to train: exactly one of iterations, examples (of real data, summed over turns) or seconds."""

    iterations: int | None = None
    examples: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        given = [v for v in (self.iterations, self.examples, self.seconds) if v is not None]
        if len(given) != 1 or given[0] < 0:
            raise BadConfig(f"a budget is exactly one of iterations, examples, seconds, and not negative; got {self}")

    def evaluations(self, batch_size: int) -> int:
        """Of a density: as many as the examples, or as iterations of a batch. Raises `BadConfig` for seconds."""
        if self.seconds is not None:
            raise BadConfig("methods that are given a density count its evaluations; use iterations=N or examples=N")
        return self.examples if self.examples is not None else (self.iterations or 0) * batch_size


class Model(nn.Module):
    """A generative model, classifier or representation that ganbench can train, sample and score.

    A subclass names its `Config`, builds its networks and returns its players; what else it can do is declared in
    `gives` when it is registered and tested by contract. A model not trained by gradients defines
    `fit(data: Split, budget: Budget, rng) -> None` instead of `players`.
    """

    @dataclass(frozen=True)
    class Config(Config):
        """What every model has; a subclass adds its own in `class Config(Model.Config)`."""

    defaults: ClassVar[Defaults] = Defaults()
    log_prob_kind: Literal["exact", "elbo", "iwae"] = "exact"
    log_prob_of: str = "density"  # or the probability of a discrete event, e.g. "mass of 17 levels": never compared
    # Filled in by `register`:
    name: ClassVar[str] = ""
    family: ClassVar[str] = ""
    gives: ClassVar[tuple[str, ...]] = ("sample",)
    needs: ClassVar[tuple[str, ...]] = ()
    conditions: ClassVar[tuple[str, ...]] = ()
    events: ClassVar[tuple[str, ...]] = ("vector", "image")

    def __init_subclass__(cls, **more: Any) -> None:
        """Make its own `Config` a dataclass.

        Raises where `defaults` names no field, or where an inherited one would silently undo a field's new value.
        """
        super().__init_subclass__(**more)
        mine = vars(cls).get("Config")
        if isinstance(mine, type) and issubclass(mine, Config) and "__dataclass_fields__" not in vars(mine):
            dataclass(frozen=True)(mine)
        if not is_dataclass(cls.Config):  # a maker of configs, whose fields cannot be read
            return
        own = {f.name: f.default for f in fields(cls.Config)}
        said = {**cls.defaults.image, **cls.defaults.small}
        for name in said.keys() - own.keys():
            raise UnknownName(f"config field in the defaults of {cls.__qualname__}", name, own)
        base: Any = next(c for c in cls.__mro__[1:] if is_dataclass(getattr(c, "Config", None)))
        before = {} if "defaults" in vars(cls) else {f.name: f.default for f in fields(base.Config)}
        for name in said.keys() & before.keys():
            if own[name] != before[name]:
                raise BadConfig(
                    f"{cls.__qualname__}.Config has {name} = {own[name]!r}, which the defaults inherited from "
                    f"{base.__qualname__} undo on images or small events ({name} = {said[name]!r}): give "
                    f"{cls.__qualname__} a table of its own, `defaults = Defaults(image={{...}})`, which replaces them"
                )

    def __init__(self, config: Any = None) -> None:
        super().__init__()
        self.config: Any = self.Config() if config is None else config
        self.spec: DataSpec

    @classmethod
    def configure(cls, spec: DataSpec, /, **overrides: Any) -> Any:
        """The config for this data: the fields' own values, those that `defaults` has for it, then the overrides."""
        return cls.Config().override(**cls.defaults.on(spec) | overrides)

    def build(self, spec: DataSpec) -> None:
        """Make the networks for this data; a model without any keeps the spec alone.

        Raises `NotApplicable` with the reason for data it cannot take.
        """
        self.spec = spec

    def players(self) -> list[Player]:
        """The parties in the order of their turns."""
        raise NotImplementedError(f"{type(self).__name__} must define players() or fit(data, budget, rng)")

    @property
    def schedule(self) -> Callable[[float], float] | None:
        """Learning-rate factor at the share of the budget spent, for players that bring none of their own."""
        return None

    def start(self, data: Split, rng: torch.Generator) -> None:
        """What precedes the first turn, such as an initialisation on data; in train mode, without gradients."""

    def advance(self, share: float) -> None:
        """Told the share of the budget spent, before every iteration; what changes with it is written into buffers."""

    def finish(self, data: Split, rng: torch.Generator) -> None:
        """What follows the last turn, such as a density fitted to the codes; in eval mode, without gradients."""

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars worth plotting over training beside the losses; called some hundred times a run."""
        return {}

    def diagnose(self, batch: Batch) -> dict[str, Tensor]:
        """Its diagnostics in eval mode, which leave no trace in its norms; back in training mode after that."""
        self.eval()
        with without_trace(self):
            found = self.diagnostics(batch)
        self.train()
        return found

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw n events: -> (n, *E). Conditional models take labels as a third argument `y` (n,)."""
        raise NotApplicable(f"{self.name or type(self).__name__} does not sample")

    def encode(self, x: Tensor) -> Tensor:
        """Codes: (B, *E) -> (B, F)."""
        raise NotApplicable(f"{self.name or type(self).__name__} does not encode")

    def from_codes(self, z: Tensor) -> Tensor:
        """The events that codes stand for: (B, F) -> (B, *E)."""
        raise NotApplicable(f"{self.name or type(self).__name__} does not decode")

    def reconstruct(self, x: Tensor) -> Tensor:
        """The model's version of x, unless overridden that of its codes: (B, *E) -> (B, *E)."""
        return self.from_codes(self.encode(x))

    def classify(self, x: Tensor) -> Tensor:
        """Class logits: (B, *E) -> (B, K). Where weights are averaged, `classify_last` gives those of the last ones."""
        raise NotApplicable(f"{self.name or type(self).__name__} does not classify")

    def log_prob(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Log likelihood in nats, exact or a bound as `log_prob_kind` says: (B, *E) -> (B,)."""
        raise NotApplicable(f"{self.name or type(self).__name__} has no likelihood")

    def features(self, x: Tensor) -> Tensor:
        """Features a frozen classifier may use, such as a discriminator's last hidden layer: (B, *E) -> (B, F)."""
        raise NotApplicable(f"{self.name or type(self).__name__} has no features")

    def representation(self, x: Tensor) -> Tensor:
        """What a classifier on the frozen model is fitted to: codes where it encodes, else features: (B, *E) -> (B, F).

        A model whose paper names other layers for this overrides it.
        """
        return self.encode(x) if "encode" in self.gives else self.features(x)

    def inpaint(self, x: Tensor, known: Tensor, rng: torch.Generator) -> Tensor:
        """Fill in the unknown pixels: (B, *E), mask (*E) true where known -> (B, *E)."""
        raise NotApplicable(f"{self.name or type(self).__name__} does not inpaint")

    def translate(self, cond: Tensor, rng: torch.Generator) -> Tensor:
        """Events made from conditions: (B, *C) -> (B, *E)."""
        raise NotApplicable(f"{self.name or type(self).__name__} does not translate")

    def translate_back(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Conditions made from events, by what was learnt beside `translate`: (B, *E) -> (B, *C)."""
        raise NotApplicable(f"{self.name or type(self).__name__} does not translate back")

    def project(self, x: Tensor, known: Tensor, rng: torch.Generator) -> Tensor:
        """The model's own event nearest to x where it is known: (B, *E), mask (*E) true where known -> (B, *E)."""
        raise NotApplicable(f"{self.name or type(self).__name__} does not project")

    def edit(self, x: Tensor, attributes: Tensor, rng: torch.Generator) -> Tensor:
        """The same events with these attributes, -1 or 1 each: (B, *E), (B, A) -> (B, *E)."""
        raise NotApplicable(f"{self.name or type(self).__name__} does not edit")

    def predict(self, frames: Tensor, k: int, rng: torch.Generator) -> Tensor:
        """The next k frames of clips: (B, T, C, H, W) -> (B, k, C, H, W)."""
        raise NotApplicable(f"{self.name or type(self).__name__} does not predict")

    def embed(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """A vector for each document of token events, seen in training or not: (B, L) -> (B, F)."""
        raise NotApplicable(f"{self.name or type(self).__name__} does not embed documents")

    def embed_words(self) -> Tensor:
        """A vector for each word of the vocabulary: -> (V, F)."""
        raise NotApplicable(f"{self.name or type(self).__name__} does not embed words")

    def estimate(self) -> Inferred:
        """What a method that is given a density found of it: moments, evidence, effective draws, and the cost."""
        raise NotApplicable(f"{self.name or type(self).__name__} is not given a density")

    def tangents(self, x: Tensor) -> Tensor:
        """Directions in which an event may move and stay what it is: (B, *E) -> (B, T, *E)."""
        raise NotApplicable(f"{self.name or type(self).__name__} knows no tangents")

    def vary(self, n: int, rng: torch.Generator) -> Tensor:
        """Rows of n events along which one code changes and all other inputs are held: -> (R, n, *E)."""
        raise NotApplicable(f"{self.name or type(self).__name__} has no codes to vary")

    def cluster(self, x: Tensor) -> Tensor:
        """Unsupervised cluster of each event: (B, *E) -> (B,) int64."""
        raise NotApplicable(f"{self.name or type(self).__name__} does not cluster")


def register(
    name: str,
    *,
    family: str,
    paper: str = "",  # "arXiv:1704.00028", or author, venue and year
    gives: tuple[str, ...] = ("sample",),
    # What reaches the model beside events. "y": all training labels; "labels": a few; "cond": what events are made
    # from, of one of the kinds in `conditions`; "pairs": with "cond", only where it belongs to the events row by row;
    # "rows": which rows of the data a batch holds, for models that keep something for each of them.
    # "density": the law itself, and no events; beside it what it must be able to do: "gradient", "conditionals",
    # "factors", "subspaces".
    needs: tuple[str, ...] = (),
    conditions: tuple[str, ...] = (),  # "image", "tokens", "attributes"
    events: tuple[str, ...] = ("vector", "image"),
    role: Literal[
        "", "control", "oracle"
    ] = "",  # a control trains nothing to win; the oracle gives back unseen real data
    version: int = 1,  # bump when a change can move a score
) -> Callable[[M], M]:
    """Mark a class as the model `name`; arguments must be literals, for they are read without importing."""

    def mark(cls: M) -> M:
        cls.name, cls.family, cls.gives, cls.needs, cls.events = name, family, gives, needs, events
        cls.conditions = conditions
        return cls

    return mark


def _check_fields(config: Config) -> None:
    """Coerce and range-check every field of a frozen config through its annotation; strings parse, floats do not round.

    Raises `BadConfig` that names field, rule and value.
    """
    from typing import get_type_hints

    from pydantic import ConfigDict, TypeAdapter, ValidationError

    hints = get_type_hints(type(config), include_extras=True)
    for f in fields(config):
        value = getattr(config, f.name)
        try:
            checked = TypeAdapter(hints[f.name], config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadConfig(f"{f.name} = {value!r}: {first['msg'][0].lower()}{first['msg'][1:]}") from None
        object.__setattr__(config, f.name, checked)
