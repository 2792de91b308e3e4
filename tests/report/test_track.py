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


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A run that both trackers heard of, and the record of its one job."""
    for name in track.TRACKERS:
        pytest.importorskip(name, reason="pip install 'ganbench[track]'")
    root = tmp_path_factory.mktemp("tracked") / "run"
    selection = launch.select(
        models=["gan_ns"], datasets=["ring8"], seeds="1", budget="iterations=60", samples=200,
        metrics=["sliced_wasserstein"], device="cpu",
    )  # fmt: skip
    jobs = launch.make_jobs(selection)
    with (
        pytest.MonkeyPatch.context() as patch,
        RunFolder.create(root, {}) as folder,
    ):
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with track.tracked(Silent(), track.TRACKERS, root, [j.spec for j in jobs]) as watcher:
            watcher.tick([{"job": jobs[0].spec.label, "iteration": 7, "share": 0.1, "rate": 3.0}])
            (record,) = local.run(jobs, folder, watcher, workers=1).records
    return root, record


def test_tensorboard_holds_the_scores_of_the_record(trained: tuple[Path, Any]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    root, record = trained
    found = EventAccumulator(str(root / "tensorboard" / job_folder_name(record.spec))).Reload()
    tags = found.Tags()["scalars"]
    (score,) = found.Scalars("scores/sliced_wasserstein")
    assert score.value == pytest.approx(record.metrics[0].value, rel=1e-6)  # float32 in the file
    assert score.step == record.iterations == 60
    assert 7 in [s.step for s in found.Scalars("progress/share")]
    assert any(tag.startswith("curves/") for tag in tags)


def test_mlflow_holds_the_scores_of_the_record(trained: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root, record = trained
    client = track.MLflow(root).client
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
