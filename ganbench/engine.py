"""The one training loop: players take turns, each moving its own parameters, until the budget is spent.

Nothing in it is about GANs. Losses stay on the device and are read in chunks, so the loop never waits for it; on CUDA
each player's turn is captured in a graph after warm-up, with an eager fallback when a turn cannot be captured. A turn
that is to be captured keeps what changes over training in tensors, as optimizers and buffers do.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from ganbench import checkpoint as checkpoints
from ganbench.data import Batch, Epochs, Split
from ganbench.errors import BadInput, Diverged
from ganbench.model import Budget, Model, Player

CHUNK = 256  # losses kept on the device between two looks at them
POINTS = 400  # history entries kept per series; past that every second one is dropped
SAVE_EVERY = 300.0  # seconds of training that a kill may cost at most
WARM_UP = 3  # eager turns before one is captured: optimizers make their state on the first

Series = tuple[list[int], list[float]]
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
def batch_statistics(model: Model) -> Iterator[None]:
    """Batch norm as the losses see it, while this lasts: by the batch's own moments, which it does not remember.

    A discriminator never sees its running moments, those of data and fakes mixed, and what it says by them of a
    divergence can be wrong by many orders of magnitude.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    before = [(m.training, m.track_running_stats) for m in norms]
    try:
        for m in norms:
            m.training, m.track_running_stats = True, False
        yield
    finally:
        for m, (training, tracks) in zip(norms, before, strict=True):
            m.training, m.track_running_stats = training, tracks


@dataclass
class Training:
    """What a run of the loop leaves behind."""

    history: dict[str, Series] = field(default_factory=dict)  # name -> (iterations, values)
    iterations: int = 0
    examples: int = 0  # real events consumed, over all turns
    seconds: float = 0.0  # over all legs
    legs: int = 1  # 2 for one that went on from a checkpoint once
    earlier: float = 0.0  # of the seconds, those before this leg


def train(
    model: Model,
    data: Split,
    budget: Budget,
    rng: torch.Generator,
    *,
    on_progress: Callable[[int, float], None] | None = None,
    probe: Callable[[int], dict[str, float]] | None = None,
    capture: bool = True,
    checkpoint: Path | None = None,
) -> Training:
    """Train a built model on data that lies on the device of its parameters and of `rng`.

    `on_progress(iteration, share)` is called a few times a second; `probe(iteration)` some twenty times a run, for
    quantities measured on samples. `capture=False` keeps CUDA eager. With a `checkpoint` the loop saves itself there
    every `SAVE_EVERY` seconds and goes on from what it finds there. Leaves the model in eval mode.
    Raises `Diverged` with the iteration, the training up to it attached as `error.training`.
    """
    training, start = Training(), time.perf_counter()
    model.train()
    try:
        fit: Callable[[Split, Budget, torch.Generator], None] | None = getattr(model, "fit", None)
        if fit is not None:
            fit(data, budget, rng)
        else:
            with torch.no_grad():
                model.start(data, rng)
            loop = _Loop(model, data, budget, rng, training, capture, checkpoint)
            loop.resume()
            loop.run(on_progress, probe)
            model.eval()
            with torch.no_grad():
                model.finish(data, rng)
    except Diverged as error:
        error.training = training  # type: ignore[attr-defined]
        raise
    finally:
        model.eval()
        if rng.device.type == "cuda":
            torch.cuda.synchronize(rng.device)
        training.seconds += time.perf_counter() - start
    return training


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
        self.wants_y, self.wants_cond = "y" in model.needs, "cond" in model.needs
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
            return Batch(data.events(rows.x), self.rng, y, cond=cond)
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
        self.optimizer.zero_grad(set_to_none=True)
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


class _Loop:
    """State of one run of the loop: turns, counters, and the losses that wait on the device to be read."""

    def __init__(
        self,
        model: Model,
        data: Split,
        budget: Budget,
        rng: torch.Generator,
        training: Training,
        capture: bool,
        checkpoint: Path | None,
    ) -> None:
        self.model, self.budget, self.training, self.checkpoint = model, budget, training, checkpoint
        self.batches = Batches(model, data, rng)
        make = CapturedTurn if capture and rng.device.type == "cuda" else Turn
        players = [replace(p, schedule=p.schedule or model.schedule) for p in model.players()]
        if not players:
            raise BadInput("players() must return at least one Player, or the model must have fit(); got none")
        self.turns = [make(player, self.batches) for player in players]
        self.pending: list[tuple[int, str, Tensor]] = []
        self.kept: dict[str, tuple[int, int]] = {}  # series -> (entries offered, stride of those kept)
        self.start = time.perf_counter()
        total = budget.iterations
        self.diagnose_every = max(1, total // 100) if total else 100
        self.probe_every = max(1, total // 20) if total else 1000
        self.has_diagnostics = type(model).diagnostics is not Model.diagnostics
        # Its own stream, so that looking at a model does not change its training.
        self.spare_rng = torch.Generator(device=rng.device).manual_seed(0)

    def run(
        self, on_progress: Callable[[int, float], None] | None, probe: Callable[[int], dict[str, float]] | None
    ) -> None:
        training, shown, saved = self.training, self.start, self.start
        while (share := self.share()) < 1:
            t = training.iterations
            for turn in self.turns:
                (start, end), updates = turn.player.span, turn.player.updates
                count = updates(t) if callable(updates) else updates
                if count < 1 or not start <= share < end:
                    continue
                turn.set_share(share)
                for _ in range(count):
                    loss = turn()
                    training.examples += self.batches.size
                self.pending.append((t, turn.player.name, loss))
            if self.has_diagnostics and t % self.diagnose_every == 0:
                self.diagnose(t)
            training.iterations = t + 1
            if probe is not None and (t + 1) % self.probe_every == 0:
                self.model.eval()
                for name, value in probe(t + 1).items():
                    self.append(name, t + 1, value)
                self.model.train()
            now = time.perf_counter()
            if len(self.pending) >= CHUNK or now - shown > 0.25:
                shown = now
                self.read()
                if on_progress is not None:
                    on_progress(t + 1, self.share())
                if self.checkpoint is not None and now - saved >= SAVE_EVERY:
                    self.save(self.checkpoint)
                    saved = time.perf_counter()
        self.read()

    def share(self) -> float:
        """Share of the budget spent; 1 or more ends the run."""
        b, t = self.budget, self.training
        if b.iterations is not None:
            return t.iterations / b.iterations if b.iterations else 1.0
        if b.examples is not None:
            return t.examples / b.examples if b.examples else 1.0
        assert b.seconds is not None
        return (t.seconds + time.perf_counter() - self.start) / b.seconds if b.seconds else 1.0

    def save(self, path: Path) -> None:
        """Write all that the rest of the loop depends on; a full disk costs the checkpoint, not the training."""
        t, parts = self.training, self._parts()
        seconds = t.seconds + time.perf_counter() - self.start
        numbers = {"iterations": t.iterations, "examples": t.examples, "seconds": seconds, "legs": t.legs}
        try:
            checkpoints.write(path, parts, numbers | {"history": t.history, "kept": self.kept})
        except OSError as error:
            log.warning("no checkpoint written (%s)", error.strerror)

    def resume(self) -> None:
        """Go on from the checkpoint, where there is one; from the beginning where it does not fit."""
        if self.checkpoint is None or not self.checkpoint.exists():
            return
        try:
            tensors, numbers = checkpoints.read(self.checkpoint)
            self._restore(tensors, numbers)
        except (BadInput, OSError) as error:
            log.warning("the checkpoint is left aside, training begins anew (%s)", error)

    def _parts(self) -> dict[str, Tensor]:
        """Every tensor that the rest of the loop depends on."""
        batches, groups = self.batches, {"model": self.model.state_dict()}
        groups |= {f"optimizer.{i}": checkpoints.optimizer_state(turn.optimizer) for i, turn in enumerate(self.turns)}
        groups["rng"] = {"own": batches.rng.get_state(), "spare": self.spare_rng.get_state()}
        groups["rng"]["global"] = torch.get_rng_state()
        if batches.rng.device.type == "cuda":
            groups["rng"]["cuda"] = torch.cuda.get_rng_state(batches.rng.device)
        groups["rest"] = {name: epochs.rest for name, epochs in batches.epochs.items()}
        return {f"{group}.{name}": value for group, found in groups.items() for name, value in found.items()}

    def _restore(self, tensors: dict[str, Tensor], numbers: checkpoints.Numbers) -> None:
        """Take over what `save` wrote. Raises `BadInput`, with nothing changed, where it is another training's."""
        wanted, found = _outline(self._parts()), _outline(tensors)
        if wanted != found:
            odd = min(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k))
            raise BadInput(f"{odd} must be {wanted.get(odd, 'absent')}; got {found.get(odd, 'none')}")
        if numbers.keys() != {"iterations", "examples", "seconds", "legs", "history", "kept"}:
            raise BadInput(f"its numbers must be those of a training; got {', '.join(sorted(numbers))}")
        t, batches, rng = self.training, self.batches, checkpoints.part(tensors, "rng")
        self.model.load_state_dict(checkpoints.part(tensors, "model"))
        for i, turn in enumerate(self.turns):
            checkpoints.restore_optimizer(turn.optimizer, checkpoints.part(tensors, f"optimizer.{i}"))
        for name, epochs in batches.epochs.items():
            epochs.rest = tensors[f"rest.{name}"]
        batches.rng.set_state(rng["own"])
        self.spare_rng.set_state(rng["spare"])
        torch.set_rng_state(rng["global"])
        if batches.rng.device.type == "cuda":
            torch.cuda.set_rng_state(rng["cuda"], batches.rng.device)
        t.iterations, t.examples, t.seconds = numbers["iterations"], numbers["examples"], numbers["seconds"]
        t.earlier, t.legs = t.seconds, numbers["legs"] + 1
        t.history |= {name: (steps, values) for name, (steps, values) in numbers["history"].items()}
        self.kept = {name: (seen, stride) for name, (seen, stride) in numbers["kept"].items()}

    def read(self) -> None:
        """Fetch the pending losses in one transfer; record them, or stop at the first that is not finite."""
        if not self.pending:
            return
        values = torch.stack([loss.float() for _, _, loss in self.pending]).tolist()
        for (t, name, _), value in zip(self.pending, values, strict=True):
            if not math.isfinite(value):
                raise Diverged(name, t, f"loss is {value}")
            self.append(name, t, value)
        self.pending.clear()
        for turn in self.turns:
            if not torch.stack(torch._foreach_norm([p.detach() for p in turn.parameters])).isfinite().all():
                raise Diverged(turn.player.name, self.training.iterations - 1, "parameters are not finite")

    def diagnose(self, t: int) -> None:
        self.model.eval()
        batches = self.batches
        index = self._spare_rows(len(batches.data))
        cond = None if batches.cond is None else self._spare_rows(batches.cond.n)
        seen = batches.gather(Rows(index, None, cond))
        batch = Batch(seen.x, self.spare_rng, seen.y, cond=seen.cond)
        with batch_statistics(self.model):
            for name, value in self.model.diagnostics(batch).items():
                self.pending.append((t, name, value.detach()))
        self.model.train()

    def _spare_rows(self, n: int) -> Tensor:
        """Rows of a batch out of n, drawn apart from those of training."""
        rng = self.spare_rng
        return torch.randint(n, (self.batches.size,), generator=rng, device=rng.device)

    def append(self, name: str, t: int, value: float) -> None:
        """Keep every stride-th entry of a series, the stride doubling whenever POINTS are exceeded."""
        steps, values = self.training.history.setdefault(name, ([], []))
        seen, stride = self.kept.get(name, (0, 1))
        if seen % stride == 0:
            steps.append(t)
            values.append(value)
        if len(steps) > POINTS:
            steps[:], values[:] = steps[::2], values[::2]
            stride *= 2
        self.kept[name] = (seen + 1, stride)


def _outline(parts: dict[str, Tensor]) -> dict[str, str]:
    """What two checkpoints of one training have in common; optimizers fill up and epochs run down on the way."""
    return {
        k: "an index" if k.startswith("rest.") else f"{v.dtype} {tuple(v.shape)}"
        for k, v in parts.items()
        if not k.startswith("optimizer.")
    }
