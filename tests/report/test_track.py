"""Trackers hear of every job: scores that equal the record's, curves by iteration, progress, an end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ganbench.api import launch
from ganbench.errors import MissingResource, UnknownName
from ganbench.jobs.executors import local
from ganbench.jobs.records import RunFolder, job_folder_name
from ganbench.report import track


class Silent:
    def finished(self, record: Any, cached: bool) -> None: ...

    def tick(self, running: list[dict[str, Any]]) -> None: ...


def trained(root: Path, name: str) -> list[Any]:
    selection = launch.select(
        models=["gan_ns"], datasets=["ring8"], seeds="1", budget="iterations=60", samples=200,
        metrics=["sliced_wasserstein"], device="cpu",
    )  # fmt: skip
    jobs = launch.make_jobs(selection)
    with RunFolder.create(root, {}) as folder, track.tracked(Silent(), [name], root, [j.spec for j in jobs]) as watcher:
        watcher.tick([{"job": jobs[0].spec.label, "iteration": 7, "share": 0.1, "rate": 3.0}])
        return local.run(jobs, folder, watcher, workers=1).records


def test_tensorboard_holds_the_scores_of_the_record(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="pip install 'ganbench[track]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (record,) = trained(tmp_path / "run", "tensorboard")
    found = EventAccumulator(str(tmp_path / "run" / "tensorboard" / job_folder_name(record.spec))).Reload()
    tags = found.Tags()["scalars"]
    (score,) = found.Scalars("scores/sliced_wasserstein")
    assert score.value == pytest.approx(record.metrics[0].value, rel=1e-6)  # float32 in the file
    assert score.step == record.iterations == 60
    assert [s.step for s in found.Scalars("progress/share")] == [7]
    assert any(tag.startswith("curves/") for tag in tags)


def test_mlflow_holds_the_scores_of_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="pip install 'ganbench[track]'")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (record,) = trained(tmp_path / "run", "mlflow")
    client = track.MLflow(tmp_path / "run").client
    (run,) = client.search_runs([client.get_experiment_by_name("run").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["scores/sliced_wasserstein"] == pytest.approx(record.metrics[0].value)
    assert run.data.params["model"] == "gan_ns"
    assert run.data.params["seed"] == "0"


def test_an_unknown_or_absent_tracker_is_refused_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="tensorboard"):
        track.check(["tensorbord"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingResource, match=r"ganbench\[track\]"):
        track.check(["mlflow"])
