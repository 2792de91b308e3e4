"""Every registered model trains on a GPU as it does turn by turn: the captured graphs give the eager losses."""

from __future__ import annotations

import logging

import pytest
import torch
from tiny import ENTRIES, build, cases, data, samples

from ganbench import seeding
from ganbench.engine.loop import Training, train
from ganbench.engine.turns import WARM_UP
from ganbench.errors import NotApplicable
from ganbench.model import Budget, Model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

ITERATIONS = 4 * WARM_UP


def trained(name: str, kind: str, capture: bool) -> tuple[Model, Training]:
    model = build(name, kind).cuda()
    rng, here = seeding.stream("training", name, device="cuda"), data(kind, ENTRIES[name]).to(torch.device("cuda"))
    with seeding.global_stream("training", name):
        try:
            return model, train(model, here, Budget(iterations=ITERATIONS), rng, capture=capture)
        except NotApplicable as reason:
            pytest.skip(str(reason))


@pytest.mark.parametrize("case", cases())
def test_captured_turns_give_the_losses_of_eager_turns(
    case: tuple[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    _, eager = trained(*case, capture=False)
    with caplog.at_level(logging.WARNING, "ganbench.engine"):
        model, captured = trained(*case, capture=True)
    assert [r.getMessage() for r in caplog.records if "captured" in r.getMessage()] == []
    assert captured.history.keys() == eager.history.keys()
    for player, (steps, losses) in eager.history.items():
        assert captured.history[player][0] == steps
        torch.testing.assert_close(captured.history[player][1], losses, rtol=1e-3, atol=1e-4)
    if "sample" in model.gives:
        x = samples(model, 5, 0, "cuda")
        assert x.device.type == "cuda"
        assert torch.isfinite(x).all()
