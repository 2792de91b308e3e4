"""A player's turn: the next batch, its loss, the gradient of its own parameters, a step.

On CUDA a turn is captured in a graph after warm-up, with an eager fallback when it cannot be captured. A turn that is
to be captured keeps what changes over training in tensors, as optimizers and buffers do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from ganbench.data import Batch, Epochs, Split
from ganbench.model import Model, Player

WARM_UP = 3  # eager turns before one is captured: optimizers make their state on the first
Precision = Literal["ieee", "tf32", "bf16"]
log = logging.getLogger(__name__)


@contextmanager
def matmul_precision(precision: Precision) -> Iterator[None]:
    """How float32 matrix products round their inputs while this lasts; every tensor stays float32.

    "ieee" does not round them, "tf32" keeps 10 bits of mantissa (GPUs), "bf16" keeps 7 (CPUs with such units). A device
    without units for what was asked for computes in full precision.
    """
    mkldnn: Any = torch.backends.mkldnn
    backends: tuple[Any, ...] = (mkldnn.matmul, mkldnn.conv, torch.backends.cuda.matmul)
    before = [b.fp32_precision for b in backends]
    wanted = (precision, precision, "ieee" if precision == "ieee" else "tf32")
    try:
        for backend, value in zip(backends, wanted, strict=True):
            backend.fp32_precision = value
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.fp32_precision = value


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Where `wanted`, only algorithms that give the same bits each time, while this lasts.

    On one thread of a CPU all of ours do. On CUDA it costs speed, and an operation without such a form raises
    `RuntimeError`, which names it.
    """
    if not wanted:
        yield
        return
    before, search = torch.get_deterministic_debug_mode(), torch.backends.cudnn.benchmark
    try:
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
        yield
    finally:
        torch.set_deterministic_debug_mode(before)
        torch.backends.cudnn.benchmark = search


class Rows(NamedTuple):
    """Which rows of the data make the next batch."""

    x: Tensor  # (B,)
    labelled: Tensor | None = None  # (L,) of the labelled companion, where there is one
    cond: Tensor | None = None  # (B,) of the conditions, where they are drawn apart from the events


class Batches:
    """Real batches for players' turns; labels and conditions only for models that registered a need for them."""

    def __init__(self, model: Model, data: Split, rng: torch.Generator) -> None:
        self.data, self.rng, self.size = data, rng, int(model.config.batch_size)
        self.index = Epochs(len(data), self.size, rng)
        self.wants_y, self.wants_cond, self.wants_rows = (need in model.needs for need in ("y", "cond", "rows"))
        self.labelled: Epochs | None = None
        if "labels" in model.needs and data.labelled is not None:
            n = len(data.labelled)
            self.labelled = Epochs(n, min(n, int(getattr(model.config, "labelled_batch_size", self.size))), rng)
        self.cond: Epochs | None = None
        if self.wants_cond and data.cond is not None and not (model.spec.cond and model.spec.cond.paired):
            self.cond = Epochs(len(data.cond), self.size, rng)

    def draw(self) -> Rows:
        """The rows of the next batch."""
        labelled = None if self.labelled is None else self._labelled_rows(next(self.labelled))
        return Rows(next(self.index), labelled, None if self.cond is None else next(self.cond))

    def _labelled_rows(self, which: Tensor) -> Tensor:
        assert self.data.labelled is not None
        return self.data.labelled[which]

    def gather(self, rows: Rows) -> Batch:
        """The events, labels and conditions at these rows."""
        data = self.data
        y = data.y[rows.x] if self.wants_y and data.y is not None else None
        cond = data.conditions(rows.x if rows.cond is None else rows.cond) if self.wants_cond else None
        if rows.labelled is None:
            return Batch(data.events(rows.x), self.rng, y, cond=cond, rows=rows.x if self.wants_rows else None)
        assert data.y is not None
        return Batch(data.events(rows.x), self.rng, y, data.events(rows.labelled), data.y[rows.labelled], cond)

    @property
    def epochs(self) -> dict[str, Epochs]:
        """Where each kind of row is drawn from, for checkpoints."""
        named = {"index": self.index, "labelled": self.labelled, "cond": self.cond}
        return {name: epochs for name, epochs in named.items() if epochs is not None}


class Turn:
    """One player's turn: next batch, loss, gradient of its own parameters, optimizer step, `after`."""

    def __init__(self, player: Player, batches: Batches) -> None:
        self.player, self.batches = player, batches
        self.parameters = [p for p in player.module.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(player.optimizer, self.parameters, batches.rng.device)
        self.base_lrs = [float(group["lr"]) for group in self.optimizer.param_groups]

    def __call__(self) -> Tensor:
        return self.move(self.batches.gather(self.batches.draw()))

    def move(self, batch: Batch) -> Tensor:
        """Take one step on this batch; returns the loss before it, on the device."""
        for p in self.parameters:
            p.grad = None  # `zero_grad` does no more, in the time of a small layer
        loss = self.player.loss(batch)
        loss.backward(inputs=self.parameters)
        self.optimizer.step()
        if self.player.after is not None:
            self.player.after()
        return loss.detach()

    def set_share(self, share: float) -> None:
        """Follow the player's learning-rate schedule."""
        if self.player.schedule is not None:
            factor = self.player.schedule(share)
            for group, lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(lr * factor)
                else:
                    group["lr"] = lr * factor


class CapturedTurn(Turn):
    """A turn replayed as one CUDA graph; falls back to eager turns when its code cannot be captured."""

    graph: torch.cuda.CUDAGraph | None = None
    rows: Rows  # static inputs and output of the graph
    loss: Tensor

    def __init__(self, player: Player, batches: Batches) -> None:
        super().__init__(player, batches)
        self.stream, self.warm = torch.cuda.Stream(), 0
        # A rate that is a number would be frozen into the graph, and schedules with it.
        self.eager = not all(isinstance(group["lr"], Tensor) for group in self.optimizer.param_groups)

    def __call__(self) -> Tensor:
        if self.eager:
            return super().__call__()
        rows = self.batches.draw()
        if self.graph is not None:
            for held, fresh in zip(self.rows, rows, strict=True):
                if held is not None and fresh is not None:
                    held.copy_(fresh)
            self.graph.replay()
            return self.loss.clone()
        if self.warm < WARM_UP:
            self.warm += 1
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                loss = self.move(self.batches.gather(rows))
            torch.cuda.current_stream().wait_stream(self.stream)
            return loss
        self.rows = Rows(*(None if t is None else t.clone() for t in rows))  # type: ignore[arg-type]
        return self._capture()

    def _capture(self) -> Tensor:
        graph, rng = torch.cuda.CUDAGraph(), self.batches.rng
        graph.register_generator_state(rng)
        before = rng.clone_state()
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                self.loss = self.move(self.batches.gather(self.rows))
        except Exception as error:  # whatever a user's loss does that a graph cannot hold
            log.warning("%s: not captured, runs eagerly (%s)", self.player.name, str(error).split("\n", 1)[0])
            self.eager = True
            rng.graphsafe_set_state(before)  # a broken capture leaves its generator waiting for the end of it
            torch.cuda.synchronize()
            return self.move(self.batches.gather(self.rows))
        self.graph = graph
        torch.cuda.current_stream().wait_stream(self.stream)  # where the capture sets the generator back
        graph.replay()
        return self.loss.clone()


def make_optimizer(factory: Callable[..., Optimizer], parameters: list[Any], device: torch.device) -> Optimizer:
    """The optimizer in its fastest form for this device: fused, else foreach, else as the factory makes it.

    On CUDA the rate is a tensor in the forms that a graph can hold: those that count their steps there, or nowhere.
    """
    on_gpu = device.type == "cuda"
    capturable = ({"fused": True, "capturable": True}, {"foreach": True, "capturable": True}) if on_gpu else ()
    for fast in (*capturable, {"fused": True}, {"foreach": True}):
        try:
            optimizer = factory(parameters, **fast)
        except (TypeError, RuntimeError):  # this optimizer has no such form
            continue
        if on_gpu and ("capturable" in fast or isinstance(optimizer, torch.optim.SGD)):
            for group in optimizer.param_groups:
                group["lr"] = torch.tensor(float(group["lr"]), device=device)
        elif on_gpu:
            continue  # fused Adagrad says only at its first step that it has no CUDA form
        return optimizer
    return factory(parameters)
