"""Tiny random data of every kind of event, and one model on one kind of it: what the facts of the contract look at."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ganbench import seeding
from ganbench.data import Condition, DataSpec, Split
from ganbench.data.density import Density
from ganbench.datasets.laws import LinearGaussian, SubsetRegression, isotropic
from ganbench.datasets.moving import Simulator
from ganbench.engine.loop import Training, train
from ganbench.engine.turns import Batches
from ganbench.errors import NotApplicable
from ganbench.model import Budget, Model
from ganbench.registry import ModelInfo

N, K = 96, 4
ITERATIONS = 2
SPECS = {
    "vector": DataSpec("vector", (2,), None, K, N, N),
    "image8": DataSpec("image8", (1, 8, 8), (-1.0, 1.0), K, N, N),
    "image28": DataSpec("image28", (1, 28, 28), (-1.0, 1.0), K, N, N),
    "image32": DataSpec("image32", (3, 32, 32), (-1.0, 1.0), K, N, N),
}
SPECS |= {  # events made from conditions, for the models that ask for them
    "pairs8": DataSpec("pairs8", (1, 8, 8), (-1.0, 1.0), K, N, N, cond=Condition("image", (1, 8, 8))),
    "half8": DataSpec("half8", (1, 8, 8), (-1.0, 1.0), K, N, N, cond=Condition("image", (1, 4, 4))),
    "unpaired8": DataSpec(
        "unpaired8", (1, 8, 8), (-1.0, 1.0), K, N, N, cond=Condition("image", (3, 8, 8), paired=False)
    ),
    "attributes16": DataSpec(
        "attributes16", (3, 16, 16), (-1.0, 1.0), K, N, N, cond=Condition("attributes", (3,), names=("a", "b", "c"))
    ),
    "tokens16": DataSpec("tokens16", (3, 16, 16), (-1.0, 1.0), K, N, N, cond=Condition("tokens", (6,), vocabulary=9)),
}
SPECS |= {"subspaces": DataSpec("subspaces", (3,), None, None, N, N)}  # a law with mass on coordinates that are 0
SPECS |= {"sound16": DataSpec("sound16", (2, 16, 16), (-1.0, 1.0), K, N, N)}  # for models of sound alone
SPECS |= {"clip8": DataSpec("clip8", (8, 1, 8, 8), (-1.0, 1.0), K, N, N)}
SPECS["words8"] = DataSpec("words8", (8,), None, K, N, N, vocabulary=12)  # documents
SLOW = ("image32",)  # kinds that are tried only where they are asked for


def takes(entry: ModelInfo, kind: str) -> bool:
    """Whether a model registered for such events and conditions; one that reads no conditions is not tried on them."""
    spec, cond, wanted = SPECS[kind], SPECS[kind].cond, entry.conditions
    apart = {"subspaces": "subspaces" in entry.needs, "sound16": entry.family == "audio"}
    if any((kind == name) != meant for name, meant in apart.items() if kind == name or meant):
        return False
    if spec.kind not in entry.events or (cond is not None) != bool(wanted):
        return False
    return cond is None or (cond.kind in wanted and (cond.paired or "pairs" not in entry.needs))


def data(kind: str, entry: ModelInfo) -> Split:
    """Random events in the domain, with the labels and conditions that the model registered a need for."""
    rng = torch.Generator().manual_seed(7)
    spec = SPECS[kind]
    y = torch.arange(N) % K
    if spec.vocabulary is not None:
        return Split(_documents(spec.vocabulary, spec.event_shape[0], 5, rng))
    x = torch.randn(N, *spec.event_shape, generator=rng)
    x = (x + y.view(-1, *[1] * len(spec.event_shape))).mul(0.3)
    x = x if spec.domain is None else x.tanh()
    needs = entry.needs
    if "simulator" in needs:
        simulator = Simulator(torch.rand(N, 1, 4, 4, generator=rng), *_motions(rng), side=8)
        return Split(simulator.frames(0, spec.event_shape[0]), simulator=simulator)
    if "density" in needs:
        return Split(x[:0], density=law(spec))
    cond = conditions(spec, rng) if "cond" in needs else None
    if "y" in needs:
        return Split(x, y, cond=cond)
    if "labels" in needs:
        return Split(x, y, torch.arange(4 * K))
    return Split(x, cond=cond)


def _motions(rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Where digits of 4x4 start in frames of 8x8, and how they move: (N, 1, 2), (N, 1, 2)."""
    start, velocity = (torch.rand(N, 1, 2, generator=rng, dtype=torch.float64) for _ in range(2))
    return 4 * start, 2 * velocity - 1


def law(spec: DataSpec) -> Density:
    """A posterior to draw from, with all that a density may offer in that many dimensions."""
    (d,) = spec.event_shape
    design, y = torch.eye(d, dtype=torch.float64) + 0.3, torch.linspace(-1, 1, d, dtype=torch.float64)
    if spec.name == "subspaces":
        return SubsetRegression(isotropic(d, 1.0), design, y, 1.0)
    return LinearGaussian.of(isotropic(d, 1.0), design, y, 1.0)


def conditions(spec: DataSpec, rng: torch.Generator) -> Tensor | None:
    """Random images, attributes, or captions of one word or more, where the spec asks for any: -> (N, *C)."""
    if spec.cond is None:
        return None
    if spec.cond.vocabulary is None:
        x = 2 * torch.rand(N, *spec.cond.shape, generator=rng) - 1
        return x if spec.cond.kind == "image" else x.sign()
    return _documents(spec.cond.vocabulary, spec.cond.shape[0], 1, rng)


def _documents(vocabulary: int, length: int, shortest: int, rng: torch.Generator) -> Tensor:
    """Rows of random words, `shortest` of them or more, padded with -1: -> (N, L)."""
    words = torch.randint(vocabulary, (N, length), generator=rng)
    ends = torch.randint(shortest, length + 1, (N, 1), generator=rng)
    return torch.where(torch.arange(length) < ends, words, -1)


def samples(model: Model, n: int, seed: int, device: str = "cpu") -> Tensor:
    """n samples, of as many classes where the model takes them: -> (n, *E)."""
    rng = torch.Generator(device).manual_seed(seed)
    more = (torch.arange(n, device=device) % K,) if len(inspect.signature(model.sample).parameters) > 2 else ()
    with torch.no_grad():
        return model.sample(n, rng, *more)


class Case:
    """One model on one kind of tiny data; trained once, and handed to one fact after the other."""

    def __init__(self, entry: ModelInfo, kind: str) -> None:
        self.entry, self.kind, self.spec = entry, kind, SPECS[kind]
        self.data = data(kind, entry)
        self._trained: Model | None = None

    def build(self) -> Model:
        """The model as a run makes it, with small batches. Raises what the model raises."""
        cls: type[Model] = self.entry.load()
        model = cls(cls.configure(self.spec, batch_size=16))
        with seeding.global_stream("init", self.entry.name):
            model.build(self.spec)
        return model

    def train(
        self,
        model: Model,
        seed: str = "",
        checkpoint: Path | None = None,
        on_progress: Callable[[int, float], None] | None = None,
    ) -> Training:
        """A few iterations, from a seed that the model's name gives or another one. Raises what the model raises."""
        seed, budget = seed or self.entry.name, Budget(iterations=ITERATIONS)
        with seeding.global_stream("training", seed):
            rng = seeding.stream("training", seed)
            return train(model, self.data, budget, rng, checkpoint=checkpoint, on_progress=on_progress)

    def seeded(self, turn: Callable[[], Tensor]) -> Tensor:
        """What a turn gives under the global stream of a training."""
        with seeding.global_stream("training", self.entry.name):
            return turn()

    def built(self) -> Model:
        """As `build`, for facts about what comes after. Raises `NotApplicable` where the model does not get there."""
        try:
            return self.build()
        except NotApplicable:
            raise
        except Exception as error:
            raise NotApplicable("not reached: it does not build") from error

    @property
    def trained(self) -> Model:
        """The model after a few iterations, in eval mode. Raises `NotApplicable` where it does not get there."""
        if self._trained is None:
            model = self.built()
            try:
                self.train(model)
            except NotApplicable:  # what only the data can tell: negative entries, values that are not counts
                raise
            except Exception as error:
                raise NotApplicable("not reached: it does not train") from error
            self._trained = model
        return self._trained

    def batches(self, model: Model) -> Batches:
        """Batches for turns of a built model, which is set to training."""
        return Batches(model.train(), self.data, seeding.stream("training", self.entry.name))
