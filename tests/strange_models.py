"""Models for testing the harness: one well-behaved and quick, and one for each way to go wrong."""

from __future__ import annotations

import os
import signal
import time

import torch
from torch import Tensor, nn

from ganbench.data import Batch, DataSpec, Split
from ganbench.engine import loop as engine
from ganbench.model import Budget, Config, Model, Player, Positive, register


class Noise(Model):
    """Learns mean and standard deviation and draws a Gaussian: all a harness needs to see."""

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.register_buffer("mean", torch.zeros(spec.event_shape))
        self.register_buffer("std", torch.ones(spec.event_shape))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        self.mean.copy_(data.events().mean(0) + 0.1 * torch.randn(self.spec.event_shape, generator=rng))
        self.std.copy_(data.events().std(0))

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.mean + self.std * torch.randn(n, *self.spec.event_shape, generator=rng)


@register("quick_noise", family="test", events=("vector",))
class Quick(Noise):
    class Config(Config):
        lr: Positive = 0.1


@register("slow_noise", family="test", events=("vector",))
class Slow(Noise):
    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        super().fit(data, budget, rng)
        time.sleep(0.3)


@register("raises", family="test", events=("vector",))
class Raises(Noise):
    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        raise RuntimeError("the sky is falling")


@register("hangs", family="test", events=("vector",))
class Hangs(Noise):
    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        time.sleep(1000)


@register("nan_samples", family="test", events=("vector",))
class NaNSamples(Noise):
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        x = super().sample(n, rng)
        x[n // 2] = float("nan")
        return x


@register("nan_loss", family="test", events=("vector",))
class NaNLoss(Noise):
    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        self.net = torch.nn.Linear(2, 1)

    def __getattribute__(self, name: str) -> object:
        if name == "fit":
            raise AttributeError(name)
        return super().__getattribute__(name)

    def players(self) -> list[Player]:
        return [Player("net", self.net, lambda b: self.net(b.x).mean() * float("nan"), torch.optim.SGD)]


@register("wrong_shape", family="test", events=("vector",))
class WrongShape(Noise):
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return super().sample(n, rng)[:, :1]


@register("exits", family="test", events=("vector",))
class Exits(Noise):
    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        os._exit(7)


@register("prints", family="test", events=("vector",))
class Prints(Noise):
    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        print("chatter on stdout")
        super().fit(data, budget, rng)


@register("killed_once", family="test", events=("vector",))
class KilledOnce(Noise):
    """Writes a byte per loss to the file that TURNS names; its process is killed in the middle of the tenth."""

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        self.net = nn.Linear(spec.n_dims, spec.n_dims)
        engine.SAVE_EVERY, engine.CHUNK = 0.0, 1  # a checkpoint after every turn

    fit = None  # type: ignore[assignment]

    def players(self) -> list[Player]:
        return [Player("net", self.net, self.loss, torch.optim.Adam)]

    def loss(self, batch: Batch) -> Tensor:
        with open(os.environ["TURNS"], "ab") as turns:
            turns.write(b".")
            turns.flush()
            if turns.tell() == 10:
                os.kill(os.getpid(), signal.SIGKILL)
        return (self.net(batch.x) - torch.randn(batch.x.shape, generator=batch.rng)).square().mean()

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        out: Tensor = self.net(torch.randn(n, *self.spec.event_shape, generator=rng))
        return out
