"""Trackers that hear of a run as it goes: TensorBoard and MLflow, each an optional package."""

from __future__ import annotations

import importlib.util
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ganbench.errors import MissingResource, UnknownName
from ganbench.jobs.records import Record, job_folder_name
from ganbench.jobs.spec import JobSpec

TRACKERS = ("tensorboard", "mlflow")


class Tracker(Protocol):
    """Where numbers of jobs go."""

    def scalars(self, job: str, values: dict[str, float], step: int) -> None:
        """Numbers of one job at an iteration."""
        ...

    def done(self, job: str, record: Record) -> None:
        """A job has ended."""
        ...

    def close(self) -> None:
        """The run has ended."""
        ...


class TensorBoard:
    """Event files below a folder, one run a job: `tensorboard --logdir DIR/tensorboard`."""

    def __init__(self, root: Path) -> None:
        self.root, self.writers = root / "tensorboard", dict[str, Any]()

    def scalars(self, job: str, values: dict[str, float], step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if job not in self.writers:
            self.writers[job] = EventFileWriter(str(self.root / job))
        summary = Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
        self.writers[job].add_event(Event(wall_time=time.time(), step=step, summary=summary))
        self.writers[job].flush()

    def done(self, job: str, record: Record) -> None:
        if job in self.writers:
            self.writers.pop(job).close()

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()


class MLflow:
    """One MLflow run a job, in the experiment named after the run folder; MLFLOW_TRACKING_URI says where."""

    def __init__(self, root: Path) -> None:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(root / 'mlflow.db').absolute()}"
        if uri.startswith("sqlite:") and importlib.util.find_spec("sqlalchemy") is None:
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # the slim package has no database
            uri = (root / "mlruns").absolute().as_uri()
        self.client = MlflowClient(uri)
        found = self.client.get_experiment_by_name(root.name)
        try:
            self.experiment = found.experiment_id if found else self.client.create_experiment(root.name)
        except MlflowException as error:
            raise MissingResource(f"MLflow does not take the run: {str(error).splitlines()[0]}") from None
        self.runs: dict[str, str] = {}

    def scalars(self, job: str, values: dict[str, float], step: int) -> None:
        from mlflow.entities import Metric

        if job not in self.runs:
            self.runs[job] = self.client.create_run(self.experiment, run_name=job).info.run_id
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in values.items()]
        self.client.log_batch(self.runs[job], metrics=metrics)

    def done(self, job: str, record: Record) -> None:
        from mlflow.entities import Param

        spec = record.spec
        told = {
            "model": spec.row,
            "dataset": spec.dataset,
            "scale": spec.scale,
            "seed": spec.seed,
            "status": record.status,
        }
        told |= {f"config.{k}": json.dumps(v)[:500] for k, v in (getattr(record, "config", None) or {}).items()}
        if job not in self.runs:
            self.scalars(job, {}, 0)
        self.client.log_batch(self.runs[job], params=[Param(k, str(v)) for k, v in told.items()])
        self.client.set_terminated(self.runs.pop(job), "FINISHED" if record.status == "ok" else "FAILED")

    def close(self) -> None:
        for run in self.runs.values():
            self.client.set_terminated(run, "KILLED")


class Tracked:
    """A watcher that also tells trackers: progress while a job runs, its curves and scores when it is done."""

    def __init__(self, watcher: Any, trackers: list[Tracker], root: Path, jobs: Iterable[JobSpec]) -> None:
        self.watcher, self.trackers, self.root = watcher, trackers, root
        self.names = {spec.label: job_folder_name(spec) for spec in jobs}
        self.said = 0.0

    def finished(self, record: Record, cached: bool) -> None:
        """Curves by iteration, then scores at the last one."""
        self.watcher.finished(record, cached)
        if cached:
            return
        job = job_folder_name(record.spec)
        for tracker in self.trackers:
            for name, line in _curves(self.root / "jobs" / job / "history.json").items():
                for step, value in line:
                    tracker.scalars(job, {f"curves/{name}": value}, step)
            scores = {f"scores/{m.name}": float(m.value) for m in record.metrics}
            seconds = {f"seconds/{k}": float(v) for k, v in record.timing.items() if k.endswith("_s")}
            tracker.scalars(job, scores | seconds, int(record.iterations or 0))
            tracker.done(job, record)

    def tick(self, running: list[dict[str, Any]]) -> None:
        """Every few seconds, how far each running job is."""
        self.watcher.tick(running)
        if time.monotonic() - self.said > 5:
            self.said = time.monotonic()
            for state in running if self.names.keys() >= {s["job"] for s in running} else ():
                for tracker in self.trackers:
                    values = {
                        "progress/share": float(state["share"]),
                        "progress/iterations_per_s": float(state["rate"]),
                    }
                    tracker.scalars(self.names[state["job"]], values, int(state["iteration"]))


@contextmanager
def tracked(watcher: Any, names: Sequence[str], root: Path, jobs: Iterable[JobSpec]) -> Iterator[Any]:
    """The watcher, with trackers behind it. Raises `UnknownName`, or `MissingResource` for one not installed."""
    trackers: list[Tracker] = []
    check(names)
    for name in names:
        trackers.append(TensorBoard(root) if name == "tensorboard" else MLflow(root))
    try:
        yield Tracked(watcher, trackers, root, jobs) if trackers else watcher
    finally:
        for tracker in trackers:
            tracker.close()


def check(names: Sequence[str]) -> None:
    """Before anything is trained: are these trackers known and installed?"""
    for name in names:
        if name not in TRACKERS:
            raise UnknownName("tracker", name, TRACKERS)
        if importlib.util.find_spec(name) is None:
            raise MissingResource(f"--track {name} needs its package: pip install 'ganbench[track]'")


def _curves(path: Path) -> dict[str, list[tuple[int, float]]]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {
        str(name): [(int(x), float(y)) for x, y in zip(xs, ys, strict=False) if y is not None]
        for name, (xs, ys) in raw.items()
    }
