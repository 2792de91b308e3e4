"""Jobs on a real Ray: the same table as the local executor, also where a node of three is killed in mid-run."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganbench.api import launch
from ganbench.jobs.executors import local
from ganbench.jobs.records import RunFolder

ray: Any = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ganbench[ray]'")
from ganbench.jobs.executors import cluster  # noqa: E402

pytestmark = pytest.mark.slow
QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}


@pytest.fixture(autouse=True)
def without_ray_afterwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "0")  # other programs of this machine are none of its business
    yield
    ray.shutdown()


class Watch:
    """Calls back once, when that many jobs have finished."""

    def __init__(self, after: int = -1, then: Any = None) -> None:
        self.after, self.then, self.done, self.ticks = after, then, 0, 0

    def finished(self, record: Any, cached: bool) -> None:
        self.done += 1
        if self.done == self.after:
            self.then()

    def tick(self, running: list[dict[str, Any]]) -> None:
        self.ticks += 1


def jobs_of(seeds: str, models: tuple[str, ...] = ("gan_ns", "gmm"), iterations: int = 300, **more: Any) -> list[Any]:
    selection = launch.select(
        models=models, datasets=["ring8"], seeds=seeds, budget=f"iterations={iterations}", samples=500,
        metrics=["modes", "sliced_wasserstein"], device="cpu", **more,
    )  # fmt: skip
    return launch.make_jobs(selection)


def done(folder: Path, jobs: list[Any], run: Any, watcher: Any = None, **more: Any) -> Any:
    with RunFolder.create(folder, {"suite": "test"}) as opened:
        opened.set_plan(jobs)
        return run(jobs, opened, watcher or Watch(), **more)


def values(folder: Path) -> dict[tuple[str, int, str], float]:
    records = RunFolder.open(folder).records()
    return {(r.spec.row, r.spec.seed, m.name): m.value for r in records for m in r.metrics}


def ids(folder: Path) -> Counter[str]:
    return Counter(json.loads(line)["job_id"] for line in (folder / "results.jsonl").read_text().splitlines())


def test_a_local_ray_gives_the_table_of_the_local_executor(tmp_path: Path) -> None:
    jobs = jobs_of("2")
    assert len(done(tmp_path / "local", jobs, local.run, workers=2, save_weights=True).records) == 4
    outcome = done(tmp_path / "ray", jobs, cluster.run, workers=2, save_weights=True)
    assert [r.status for r in outcome.records] == ["ok"] * 4
    assert values(tmp_path / "ray") == values(tmp_path / "local")
    for job in (tmp_path / "local" / "jobs").iterdir():  # weights and pictures came back, byte by byte
        for name in ("weights.safetensors", "samples.png"):
            assert (tmp_path / "ray" / "jobs" / job.name / name).read_bytes() == (job / name).read_bytes(), name
    again = done(tmp_path / "ray", jobs, cluster.run, workers=2)
    assert again.cached == 4
    assert str(tmp_path) not in (tmp_path / "ray" / "results.jsonl").read_text()


def test_a_node_of_three_is_killed_in_mid_run_and_no_job_is_lost_or_doubled(tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    jobs = jobs_of("4", iterations=1500)
    done(tmp_path / "local", jobs, local.run, workers=2)
    simulated = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        simulated.add_node(num_cpus=1)
        doomed = simulated.add_node(num_cpus=1)
        simulated.wait_for_nodes()
        ray.init(address=simulated.address, **QUIET)
        killed: list[int] = []

        def kill() -> None:
            simulated.remove_node(doomed, allow_graceful=False)
            killed.append(sum(n["Alive"] for n in ray.nodes()))

        outcome = done(tmp_path / "ray", jobs, cluster.run, Watch(2, kill))
        assert killed, "the node was never killed"
        assert Counter(r.status for r in outcome.records) == {"ok": len(jobs)}
        assert set(ids(tmp_path / "ray").values()) == {1}
        assert set(ids(tmp_path / "ray")) == {job.spec.job_id for job in jobs}
        assert values(tmp_path / "ray") == values(tmp_path / "local")
    finally:
        ray.shutdown()
        simulated.shutdown()


def test_files_travel_and_failures_are_the_rows_they_are_here(tmp_path: Path) -> None:
    """A user's model, an array of the user's, a job that hangs, one that kills its process."""
    import numpy as np
    from sklearn.datasets import load_digits

    np.save(tmp_path / "own.npy", load_digits().images[:200].reshape(-1, 64).astype(np.float32) / 8 - 1)
    strange = Path(__file__).parents[2] / "strange_models.py"
    names = ("Quick", "Hangs", "Exits") if "class Exits" in strange.read_text() else ("Quick", "Hangs")
    selection = launch.select(
        models=[f"{os.path.relpath(strange)}:{n}" for n in names], datasets=[f"array:{tmp_path}/own.npy"], seeds="1",
        budget="iterations=3", samples=50, metrics=["sliced_wasserstein"], device="cpu",
    )  # fmt: skip
    jobs = launch.make_jobs(selection)
    found = {}
    for name, run in (("local", local.run), ("ray", cluster.run)):
        outcome = done(tmp_path / name, jobs, run, workers=1, job_timeout=lambda job: 12.0)
        found[name] = {r.spec.model: (r.status, r.reason) for r in outcome.records}
    assert found["ray"] == found["local"]
    assert {status for status, _ in found["ray"].values()} >= {"ok", "timeout"}


def test_without_a_cluster_the_address_is_named(tmp_path: Path) -> None:
    from ganbench.errors import MissingResource

    with pytest.raises(MissingResource, match="no Ray cluster"):
        done(tmp_path / "ray", jobs_of("1"), cluster.run, address="127.0.0.1:1")
