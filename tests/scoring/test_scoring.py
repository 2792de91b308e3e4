"""Inputs are made when asked for, floors are real data in place of samples, and a bad metric spoils only itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganbench.data import DataSpec, Mixture, Split
from ganbench.datasets.base import Dataset
from ganbench.errors import NotApplicable
from ganbench.metrics.base import Score
from ganbench.registry import METRICS, MetricInfo
from ganbench.scoring.inputs import Inputs, MetricFailed, Workplace, score_all


def entry(function: Any, *needs: str, name: str = "tried") -> MetricInfo:
    class Direct(MetricInfo):
        def load(self) -> Any:
            return function

    return Direct(name, "", "", Path(__file__), needs=needs)


def score(value: float, n: int = 1, name: str = "tried") -> Score:
    return Score(name, value, n, f"{name}|v1", "min")


@pytest.fixture
def place() -> Workplace:
    return Workplace()


def inputs(place: Workplace, ref: str = "ring8", n: int = 300, **more: Any) -> Inputs:
    return Inputs(place, ref, place.dataset(ref), n, 0, **more)


def test_inputs_have_the_shapes_that_metrics_are_promised(place: Workplace) -> None:
    made = inputs(place, "digits", samples=torch.zeros(300, 1, 8, 8))
    anyone = entry(None)
    shapes = {name: tuple(made.get(name, anyone).shape) for name in ("samples", "reference", "holdout", "probs")}
    assert shapes == {
        "samples": (300, 1, 8, 8),
        "reference": (300, 1, 8, 8),
        "holdout": (300, 1, 8, 8),
        "probs": (300, 10),
    }
    assert made.get("reference_probs", anyone).shape == (300, 10)
    assert made.get("features", anyone).shape == made.get("reference_features", anyone).shape
    assert (
        len(made.get("train_features", anyone)) == len(made.get("train", anyone)) == len(place.dataset("digits").train)
    )
    x, y = made.get("reference", anyone), made.get("test_labels", anyone)
    test = place.dataset("digits").test
    assert test.y is not None
    for i in range(5):  # labels belong to the events beside them
        where = (test.events() == x[i]).flatten(1).all(1).nonzero().flatten().tolist()
        assert int(y[i]) in [int(test.y[j]) for j in where]
    assert made.get("space", entry(None, "samples")) == "x"
    assert made.get("space", entry(None, "probs")).startswith("digits-cnn@")


def test_missing_inputs_are_not_applicable_with_the_reason(place: Workplace) -> None:
    made = inputs(place, "gaussian")
    for name, why in (("samples", "does not sample"), ("model", "trained model"), ("test_labels", "has none")):
        with pytest.raises(NotApplicable, match=why):
            made.get(name, entry(None))
    rows, missing = score_all(["modes"], inputs(place, "digits", samples=torch.zeros(5, 1, 8, 8)))
    assert rows == []
    assert missing == [{"name": "modes", "reason": "needs the exact density; digits has none"}]


def test_metric_draws_repeat_and_differ_by_metric_and_seed(place: Workplace) -> None:
    def draw(name: str, seed: int) -> float:
        made = Inputs(place, "ring8", place.dataset("ring8"), 10, seed)
        return float(torch.rand((), generator=made.get("rng", entry(None, name=name))))

    assert draw("a", 0) == draw("a", 0)
    assert len({draw("a", 0), draw("b", 0), draw("a", 1)}) == 3


def test_the_floor_is_the_metric_of_unseen_real_events(place: Workplace, tmp_path: Path) -> None:
    seen: list[Tensor] = []

    def mean(samples: Tensor, reference: Tensor) -> Score:
        seen.append(samples)
        return score(float((samples.mean() - reference.mean()).abs()), len(samples))

    place.floor_folder = tmp_path / "floors"
    made = inputs(place, samples=torch.zeros(300, 2))
    metric = entry(mean, "samples", "reference")
    floor = place.floor(metric, made)
    assert set(floor) == {"tried"}
    assert floor["tried"][1] == 300
    (real,) = seen
    data = place.dataset("ring8")
    for split in (data.train, data.test, data.holdout):
        assert not (real[:20, None] == split.events()).all(-1).any()
    assert place.floor(metric, made) == floor
    assert len(seen) == 1  # remembered by the worker
    other = Workplace(tmp_path / "floors")
    assert other.floor(metric, inputs(other)) == floor
    assert len(seen) == 1  # and by the run
    assert [json.loads(p.read_text()) for p in (tmp_path / "floors").iterdir()] == [floor]


def test_the_floor_of_short_real_data_says_its_size(place: Workplace) -> None:
    x = torch.arange(60.0).view(30, 2)
    data = Dataset(DataSpec("short", (2,), n_eval=10, sha256="s"), Split(x[:15]), Split(x[15:20]), Split(x[20:]))
    made = Inputs(place, "short", data, 100, 0, samples=torch.zeros(10, 2))
    assert made.n == 10
    floor = place.floor(entry(lambda samples: score(0.0, len(samples)), "samples"), made)
    assert floor == {"tried": [0.0, 5]}


def test_a_metric_that_raises_leaves_the_others_standing(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(samples: Tensor) -> Score:
        raise KeyError("oops")

    metrics = {
        "good": entry(lambda samples: score(1.0, name="good"), "samples", name="good"),
        "broken": entry(broken, "samples", name="broken"),
        "infinite": entry(lambda samples: score(float("inf"), name="infinite"), "samples", name="infinite"),
        "wrong": entry(lambda samples: 3.0, "samples", name="wrong"),
    }
    made = inputs(place, samples=torch.zeros(4, 2))
    monkeypatch.setattr(type(METRICS), "get", lambda self, name: metrics[name])
    with pytest.raises(MetricFailed, match="broken raised KeyError") as caught:
        score_all(metrics, made)
    assert [r["name"] for r in caught.value.rows] == ["good"]
    assert caught.value.missing == [{"name": "infinite", "reason": "the value is inf"}]
    assert "wrong raised TypeError: a metric returns Score" in str(caught.value)


def test_mixtures_are_scored_with_their_exact_posterior(place: Workplace) -> None:
    made = inputs(place, samples=torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    mixture = made.get("mixture", entry(None))
    assert isinstance(mixture, Mixture)
    torch.testing.assert_close(made.get("probs", entry(None)), mixture.posterior(made.samples))  # type: ignore[arg-type]
