"""Every registered model trains on a GPU as it does turn by turn: the captured graphs give the eager losses."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import pytest
import torch

from ganbench import seeding
from ganbench.data import DataSpec, Split
from ganbench.engine import WARM_UP, Training, train
from ganbench.errors import NotApplicable
from ganbench.model import Budget, Model
from ganbench.registry import MODELS, Entry

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

N, K, ITERATIONS = 96, 4, 4 * WARM_UP
SPECS = {
    "vector": DataSpec("vector", (2,), None, K, N, N),
    "image8": DataSpec("image8", (1, 8, 8), (-1.0, 1.0), K, N, N),
    "image28": DataSpec("image28", (1, 28, 28), (-1.0, 1.0), K, N, N),
}
ENTRIES = {e.name: e for e in MODELS}


def cases() -> list[Any]:
    return [
        pytest.param(name, kind, id=f"{name}-{kind}")
        for name, entry in ENTRIES.items()
        for kind in SPECS
        if ("vector" if kind == "vector" else "image") in entry.meta.get("events", ("vector", "image"))
    ]


def data(kind: str, entry: Entry) -> Split:
    rng, spec = torch.Generator().manual_seed(7), SPECS[kind]
    y = torch.arange(N) % K
    x = (torch.randn(N, *spec.event_shape, generator=rng) + y.view(-1, *[1] * len(spec.event_shape))).mul(0.3)
    x = x.tanh() if spec.is_image else x
    needs = entry.meta.get("needs", ())
    if "y" in needs:
        return Split(x, y)
    return Split(x, y, torch.arange(4 * K)) if "labels" in needs else Split(x)


def trained(name: str, kind: str, capture: bool) -> tuple[Model, Training]:
    cls: type[Model] = ENTRIES[name].load()
    model = cls(cls.configure(SPECS[kind], batch_size=16))
    try:
        with seeding.global_stream("init", name):
            model.build(SPECS[kind])
        model.cuda()
        rng = seeding.stream("training", name, device="cuda")
        with seeding.global_stream("training", name):
            here = data(kind, ENTRIES[name]).to(torch.device("cuda"))
            return model, train(model, here, Budget(iterations=ITERATIONS), rng, capture=capture)
    except NotApplicable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize(("name", "kind"), cases())
def test_captured_turns_give_the_losses_of_eager_turns(
    name: str, kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    _, eager = trained(name, kind, capture=False)
    with caplog.at_level(logging.WARNING, "ganbench.engine"):
        model, captured = trained(name, kind, capture=True)
    assert [r.getMessage() for r in caplog.records if "captured" in r.getMessage()] == []
    assert captured.history.keys() == eager.history.keys()
    for player, (steps, losses) in eager.history.items():
        assert captured.history[player][0] == steps
        torch.testing.assert_close(captured.history[player][1], losses, rtol=1e-3, atol=1e-4)
    if "sample" in model.gives:
        more = (torch.arange(5, device="cuda") % K,) if len(inspect.signature(model.sample).parameters) > 2 else ()
        with torch.no_grad():
            x = model.sample(5, torch.Generator("cuda").manual_seed(0), *more)
        assert x.device.type == "cuda"
        assert torch.isfinite(x).all()
