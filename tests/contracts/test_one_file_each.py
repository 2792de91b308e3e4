"""One file adds a model, a metric, a data set, a scorer or an executor: nothing else is edited, and it runs.

Each file below is put into its folder of a copy of the source, or left where it is and named by its path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]

MODEL = '''"""Draws what it has seen, shaken."""

import torch

from ganbench.data import DataSpec, Split
from ganbench.model import Budget, Model, register


@register("added_model", family="classical", gives=("sample",))
class Added(Model):
    def build(self, spec: DataSpec) -> None:
        self.register_buffer("seen", torch.zeros(100, *spec.event_shape))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        self.seen.copy_(data.events()[:100])

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        return self.seen[torch.randint(100, (n,), generator=rng)]
'''
METRIC = '''"""How far the samples' mean is from the reference's."""

from torch import Tensor

from ganbench.metrics.base import Score, check_events, metric, signature


@metric("added_metric", direction="min", degree=1)
def added_metric(samples: Tensor, reference: Tensor) -> Score:
    x, y = check_events(samples, "samples"), check_events(reference, "reference")
    value = float((x.double().mean(0) - y.double().mean(0)).norm())
    return Score("added_metric", value, n=len(x), signature=signature("added", f"n={len(x)}"), direction="min")
'''
DATASET = '''"""Points of a square."""

import torch

from ganbench import seeding
from ganbench.data import Split
from ganbench.datasets.base import Dataset, Source, assemble, dataset


@dataset("added_data", event="vector", iterations={"smoke": 3, "quick": 5, "standard": 9}, builtin=True)
def added_data(source: Source) -> Dataset:
    parts = [torch.rand(300, 2, generator=seeding.stream("data", "added", part)) for part in ("a", "b", "c")]
    return assemble("added_data", *map(Split, parts))
'''
SCORER = '''"""Left or right of zero."""

import torch
from torch import Tensor

from ganbench.scorers.base import scorer


@scorer("added_scorer")
class Added:
    signature, n_classes, domain = "added@00000000", 2, None

    def probs(self, x: Tensor) -> Tensor:
        right = (x.flatten(1).mean(1) > 0).double()
        return torch.stack([1 - right, right], 1)

    def features(self, x: Tensor) -> Tensor:
        return x.flatten(1).float()
'''
EXECUTOR = '''"""Runs jobs one after the other, in the process of the driver."""

from pathlib import Path
from typing import Any

from ganbench.jobs.executors.base import executor
from ganbench.jobs.executors.driver import Outcome, begin, store
from ganbench.jobs.executors.worker import Orders
from ganbench.jobs.runner import run_job
from ganbench.scoring.inputs import Workplace


@executor("added_executor", options=("note",))
def run(jobs: Any, folder: Any, watcher: Any, *, note: str = "", **terms: Any) -> Outcome:
    outcome, place = Outcome(), Workplace()
    for job, attempt in begin(jobs, folder, outcome, watcher, Orders(str(folder.root), None, False, None, 1)):
        store(folder, run_job(job, place, attempt=attempt), outcome, watcher)
    folder.settle(outcome.records)
    Path(folder.root, "note.txt").write_text(str(note))
    return outcome
'''
PLACES = {
    "baselines/classical/added_model.py": MODEL,
    "ganbench/metrics/added_metric.py": METRIC,
    "ganbench/datasets/added_data.py": DATASET,
    "ganbench/scorers/added_scorer.py": SCORER,
    "ganbench/jobs/executors/added_executor.py": EXECUTOR,
}


def with_one_more(house: Path, text: str) -> Path:
    """A copy of the source, by links to its files, with one more of them."""
    for package in ("ganbench", "baselines"):
        for folder, _, names in os.walk(ROOT / package):
            copy = house / Path(folder).relative_to(ROOT)
            copy.mkdir(parents=True)
            for name in names:
                (copy / name).symlink_to(Path(folder) / name)
    (place,) = (house / p for p, t in PLACES.items() if t == text)
    place.write_text(text)
    return house


def ganbench(house: Path, *arguments: str) -> Any:
    """What the command answers as JSON, run from a copy of the source."""
    paths = {"PYTHONPATH": str(house), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "ganbench", *arguments, "--json"],
        cwd=house, env=os.environ | paths, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def scores(house: Path, **selection: str) -> dict[str, float]:
    """The scores of one small job that must end well."""
    chosen = {"model": "gmm", "dataset": "gaussian", "metrics": "sliced_wasserstein"} | selection
    options = [part for name, value in chosen.items() for part in (f"--{name}", value)]
    small = ["--seeds", "1", "--samples", "50", "--budget", "iterations=1", "-j", "1", "--out", "out"]
    assert ganbench(house, "run", *options, *small)["jobs"]["ok"] == 1
    record = json.loads((house / "out" / "results.jsonl").read_text())
    return {row["name"]: row["value"] for row in record["metrics"]}


def test_a_model_is_one_file(tmp_path: Path) -> None:
    assert 0 < scores(with_one_more(tmp_path, MODEL), model="added_model")["sliced_wasserstein"] < 1


def test_a_metric_is_one_file(tmp_path: Path) -> None:
    assert 0 < scores(with_one_more(tmp_path, METRIC), metrics="added_metric")["added_metric"] < 2


def test_a_data_set_is_one_file(tmp_path: Path) -> None:
    assert 0 < scores(with_one_more(tmp_path, DATASET), dataset="added_data")["sliced_wasserstein"] < 1


def test_a_scorer_is_one_file(tmp_path: Path) -> None:
    """A quarter of the samples lies right of zero, all of the reference left: of two classes, one and less is seen."""
    house = with_one_more(tmp_path, SCORER)
    pixels = np.full((40, 1, 4, 4), 50, dtype=np.uint8)
    np.save(house / "real.npy", pixels)
    pixels[:10] = 200
    np.save(house / "made.npy", pixels)
    through = ["--scorer", "added_scorer", "--metrics", "inception_score"]
    found = ganbench(house, "score", "made.npy", "--reference", "real.npy", *through)
    (score,) = (row for row in found["metrics"] if row["name"] == "inception_score")
    assert "added@00000000" in score["signature"]
    assert 1 < score["value"] <= 2


def test_an_executor_is_one_file(tmp_path: Path) -> None:
    house = with_one_more(tmp_path, EXECUTOR)
    assert scores(house, executor="added_executor[note=here]")["sliced_wasserstein"] > 0
    assert (house / "out" / "note.txt").read_text() == "here"
    assert "added_executor" in [row["name"] for row in ganbench(house, "list", "executors")]


@pytest.mark.slow
def test_each_may_stay_outside(tmp_path: Path) -> None:
    """In a package that says so by entry points; a model and an executor also by their paths."""
    for package in ("ganbench", "baselines"):
        (tmp_path / package).symlink_to(ROOT / package)
    points = {"models": "Added", "metrics": "added_metric", "datasets": "added_data", "scorers": "Added"}
    lines = []
    for (group, attribute), (place, text) in zip((points | {"executors": "run"}).items(), PLACES.items(), strict=True):
        module = Path(place).stem
        (tmp_path / f"{module}.py").write_text(text)
        lines += [f"[ganbench.{group}]", f"{module} = {module}:{attribute}"]
    info = tmp_path / "added-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: added\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(lines))
    for executor, model in (
        ("added_executor", "added_model"),
        ("added_executor.py:run[note=x]", "added_model.py:Added"),
    ):
        outside = {"model": model, "dataset": "added_data", "metrics": "added_metric", "executor": executor}
        assert scores(tmp_path, **outside)["added_metric"] > 0
        (tmp_path / "out").rename(tmp_path / model)
    assert "added_scorer" in [row["name"] for row in ganbench(tmp_path, "list", "scorers")]
