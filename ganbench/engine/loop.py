"""The one training loop: players take turns, each moving its own parameters, until the budget is spent.

Nothing in it is about GANs. Losses stay on the device and are read in chunks, so the loop never waits for it.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from ganbench.data import Batch, Split
from ganbench.engine import checkpoint as checkpoints
from ganbench.engine.turns import Batches, CapturedTurn, Rows, Turn
from ganbench.errors import BadInput, Diverged
from ganbench.model import Budget, Model

CHUNK = 256  # losses kept on the device between two looks at them
POINTS = 400  # history entries kept per series; past that every second one is dropped
SAVE_EVERY = 300.0  # seconds of training that a kill may cost at most

Series = tuple[list[int], list[float]]
log = logging.getLogger(__name__)


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
            self.model.advance(share)
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
        batches = self.batches
        index = self._spare_rows(len(batches.data))
        cond = None if batches.cond is None else self._spare_rows(batches.cond.n)
        seen = batches.gather(Rows(index, None, cond))
        batch = Batch(seen.x, self.spare_rng, seen.y, cond=seen.cond, rows=seen.rows)
        for name, value in self.model.diagnose(batch).items():
            self.pending.append((t, name, value.detach()))

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
