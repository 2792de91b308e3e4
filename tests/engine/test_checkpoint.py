"""A training that goes on after a cut is the training without one, bit by bit; what is no checkpoint is left aside."""

from __future__ import annotations

import errno
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from ganbench.data import Batch, DataSpec, Epochs, Split
from ganbench.engine import checkpoint
from ganbench.engine import loop as engine
from ganbench.engine.loop import Training, train
from ganbench.errors import BadInput
from ganbench.jobs import runner
from ganbench.model import Budget, Model, Player
from ganbench.registry import MODELS
from ganbench.seeding import global_stream

VECTOR = DataSpec("vector", (2,), n_train=96, n_eval=96)
DATA = Split(torch.randn(96, 2, generator=torch.Generator().manual_seed(5)))


class Cut(Exception):
    """The training was killed."""


def made(device: str = "cpu", **changes: Any) -> Model:
    cls = MODELS.load("gan_ns")
    model: Model = cls(cls.configure(VECTOR, **{"batch_size": 20, **changes}))
    with global_stream("init", 0):
        model.build(VECTOR)
    return model.to(device)


def run(model: Model, path: Path | None, cut_at: int = 0, device: str = "cpu") -> Training:
    """Train for twelve iterations with a checkpoint after each, or until it is killed after `cut_at`."""

    def on_progress(iteration: int, share: float) -> None:
        if cut_at and iteration > cut_at:
            raise Cut

    return train(
        model,
        DATA.to(torch.device(device)),
        Budget(iterations=12),
        torch.Generator(device).manual_seed(1),
        on_progress=on_progress,
        checkpoint=path,
    )


@pytest.fixture(autouse=True)
def _save_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHUNK", 1)
    monkeypatch.setattr(engine, "SAVE_EVERY", 0.0)


def same(a: Model, b: Model) -> None:
    for key, value in a.state_dict().items():
        torch.testing.assert_close(b.state_dict()[key], value, rtol=0, atol=0)


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, needs_gpu])])
def test_a_training_goes_on_in_the_middle_of_an_epoch_with_the_same_bits(tmp_path: Path, device: str) -> None:
    whole, again = made(device), made(device)
    expected = run(whole, None, device=device)
    with pytest.raises(Cut):
        run(made(device), tmp_path / "c", 6, device)
    seen: list[int] = []
    training = train(
        again,
        DATA.to(torch.device(device)),
        Budget(iterations=12),
        torch.Generator(device).manual_seed(99),  # whose state the checkpoint replaces
        on_progress=lambda iteration, share: seen.append(iteration),
        checkpoint=tmp_path / "c",
    )
    same(whole, again)
    assert seen[0] == 7
    assert training.history == expected.history
    assert (training.iterations, training.examples) == (expected.iterations, expected.examples)


class Noisy(Model):
    """Draws from torch's global generator in its loss, and from the spare one when it is looked at."""

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))

    def players(self) -> list[Player]:
        return [Player("net", self.net, lambda batch: self.net(batch.x).square().mean(), torch.optim.SGD)]

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        return {"draw": torch.rand((), generator=batch.rng)}


def test_every_generator_and_thinned_curves_go_on_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "POINTS", 3)

    def make() -> Model:
        model = Noisy(Noisy.Config(batch_size=20))
        with global_stream("init", 0):
            model.build(VECTOR)
        return model

    whole, again = make(), make()
    with global_stream("dropout"):
        expected = run(whole, None)
    with global_stream("dropout"), pytest.raises(Cut):
        run(make(), tmp_path / "c", cut_at=6)
    with global_stream("other"):
        training = run(again, tmp_path / "c")
    same(whole, again)
    assert training.history == expected.history


def test_seconds_add_up_over_the_parts(tmp_path: Path) -> None:
    with pytest.raises(Cut):
        run(made(), tmp_path / "c", cut_at=6)
    tensors, numbers = checkpoint.read(tmp_path / "c")
    checkpoint.write(tmp_path / "c", tensors, numbers | {"seconds": 1000.0})
    training = run(made(), tmp_path / "c")
    assert 1000 < training.seconds < 1060
    assert training.earlier == 1000
    assert training.legs == 2


def test_a_record_sums_the_seconds_of_all_legs_and_says_so() -> None:
    clock = runner.Clock()
    with clock("train"):
        pass
    whole = clock.timing(Training(iterations=10, examples=20, seconds=3.0))
    assert "train_legs" not in whole
    parts = clock.timing(Training(iterations=10, examples=20, seconds=103.0, legs=3, earlier=100.0))
    assert parts["train_legs"] == 3
    assert parts["train_s"] == pytest.approx(whole["train_s"] + 100)
    assert parts["wall_s"] > 100
    assert parts["examples_per_s"] == round(20 / 103, 3)


def test_a_model_without_players_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made()
    monkeypatch.setattr(model, "players", list)
    with pytest.raises(BadInput, match="at least one Player"):
        run(model, None)


def test_an_epoch_can_be_cut_anywhere() -> None:
    rng = torch.Generator().manual_seed(0)
    batches = Epochs(10, 3, rng)
    next(batches)
    rest, state = batches.rest, rng.get_state()
    expected = [next(batches).tolist() for _ in range(5)]
    other = Epochs(10, 3, torch.Generator())
    other.rest = rest
    other.rng.set_state(state)
    assert [next(other).tolist() for _ in range(5)] == expected
    assert len(rest) == 6
    assert Epochs(3, 8, rng).rest.numel() == 0


@pytest.mark.parametrize("kind", ["other networks", "text", "torn", "no numbers", "other numbers", "no rest"])
def test_what_is_no_checkpoint_of_this_training_is_left_aside(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    path, whole, model = tmp_path / "c", made(), made()
    run(whole, None)
    with pytest.raises(Cut):
        run(made(hidden=(8,)) if kind == "other networks" else made(), path, cut_at=6)
    if kind == "text":
        path.write_text("not a checkpoint")
    elif kind == "torn":
        path.write_bytes(path.read_bytes()[:-1000])
    elif kind == "no numbers":
        path.write_bytes(save({"x": torch.zeros(1)}))
    elif kind in ("other numbers", "no rest"):
        tensors, numbers = checkpoint.read(path)
        (numbers if kind == "other numbers" else tensors).pop("kept" if kind == "other numbers" else "rest.index")
        checkpoint.write(path, tensors, numbers)
    with caplog.at_level(logging.WARNING):
        run(model, path)
    assert "begins anew" in caplog.text
    same(whole, model)


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "write", full)
    with caplog.at_level(logging.WARNING):
        assert run(made(), tmp_path / "c").iterations == 12
    assert "No space left" in caplog.text


def test_numbers_and_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    shared = torch.arange(6.0).view(2, 3)
    checkpoint.write(tmp_path / "c", {"a": shared, "b": shared.T}, {"history": {"x": [[1, 2], [0.1, 1e-30]]}})
    tensors, numbers = checkpoint.read(tmp_path / "c")
    assert torch.equal(tensors["b"], shared.T)
    assert json.dumps(numbers) == json.dumps({"history": {"x": [[1, 2], [0.1, 1e-30]]}})
    with pytest.raises(OSError):
        checkpoint.read(tmp_path / "none")
    with pytest.raises(BadInput):
        checkpoint.read(Path(__file__))
