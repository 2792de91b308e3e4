"""A job's seat on a node of a cluster: what a Ray task runs there. It has one local worker, kept from job to job."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ganbench.files import write_atomic
from ganbench.jobs.executors import local
from ganbench.jobs.executors.driver import Outcome, Unheard
from ganbench.jobs.executors.process import Crew
from ganbench.jobs.executors.worker import Orders
from ganbench.jobs.records import CHECKPOINT, Record, RunFolder
from ganbench.jobs.spec import Job

BESIDES = ("result.json", CHECKPOINT)  # of a job's folder, what does not travel back


@dataclass(frozen=True)
class Parcel:
    """Files that travel to a node: relative name -> reference into the object store."""

    kind: str  # data, own data, model or scorer
    name: str
    files: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Returned:
    """What a task brings back."""

    record: Any  # as JSON has it
    environment: dict[str, Any] | None
    files: dict[str, bytes] = field(default_factory=dict)  # of the job's folder: pictures, history, log, weights


class Notes:
    """An actor that hears from all seats how far their jobs are."""

    def __init__(self) -> None:
        self.running: dict[str, dict[str, Any]] = {}

    def note(self, job_id: str, state: dict[str, Any] | None) -> None:
        """What a job is at; None when it is over."""
        if state is None:
            self.running.pop(job_id, None)
        else:
            self.running[job_id] = state

    def all(self) -> list[dict[str, Any]]:
        """What every job is at."""
        return list(self.running.values())


class _Listener:
    """Passes on what the worker of this seat is at, once a second."""

    def __init__(self, job: Job, notes: Any) -> None:
        self.job, self.notes, self.last = job, notes, 0.0

    def finished(self, record: Record, cached: bool) -> None:
        """The driver hears of it by the task's answer."""

    def tick(self, running: list[dict[str, Any]]) -> None:
        """Other seats of the node write beside this one's worker."""
        mine = [state for state in running if state["job"] == self.job.spec.label]
        if mine and time.monotonic() - self.last > 1:
            self.last = time.monotonic()
            with contextlib.suppress(Exception):  # progress is not worth a job
                self.notes.note.remote(self.job.spec.job_id, mine[0])


class _Shift(local.Shift):
    """A shift of one worker that hands its records over instead of writing them."""

    environment: dict[str, Any] | None = None

    def record(self, hand: Any, job: Job, said: dict[str, Any]) -> Record:
        answer = said.get("answer")
        self.environment = answer.get("environment") if isinstance(answer, dict) else None
        return super().record(hand, job, said)

    def store(self, record: Record) -> None:
        self.outcome.records.append(record)


_shift: _Shift | None = None  # of this Ray process, which outlives its tasks
_seen: str | None = None  # the devices that its worker sees


def work(
    job: Job,
    orders: Orders,
    attempt: int,
    limit: float | None,
    token: str,
    parcels: list[Parcel],
    gpu: bool,
    notes: Any,
) -> Returned:
    """Run one job in this seat's worker."""
    place = _place(token)
    for parcel in parcels:
        job, orders = _unpacked(parcel, place, job, orders)
    shift = _seat(place, replace(orders, root=str(place)), os.environ.get("CUDA_VISIBLE_DEVICES", "") if gpu else "")
    shift.job_timeout, shift.watcher = (lambda _: limit), _Listener(job, notes)
    shift.outcome, shift.environment = Outcome(), None
    shift.waiting = deque([(job, attempt)])
    folder = shift.folder.job_folder(job.spec)
    try:
        shift.work(None)
        (record,) = shift.outcome.records
        files = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and p.name not in BESIDES}
        return Returned(record.to_json(), shift.environment, files)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(Exception):
            notes.note.remote(job.spec.job_id, None)


def _seat(place: Path, orders: Orders, devices: str) -> _Shift:
    """The shift of this process, with its worker; a new one for another run or other devices."""
    global _shift, _seen
    if _shift is not None and (_shift.orders, _seen) != (orders, devices):
        _shift.crew.__exit__()
        _shift = None
    if _shift is None:
        crew = Crew(orders.threads)
        atexit.register(crew.__exit__)
        folder = RunFolder(place)
        nobody: Callable[[Job], float | None] = lambda _: None  # noqa: E731
        _shift = _Shift(crew, deque(), folder, Unheard(), Outcome(), orders, 1, nobody, (devices,))
        _seen = devices
    return _shift


def _place(token: str) -> Path:
    """The run's folder on this node, which its seats share."""
    place = Path(tempfile.gettempdir()) / f"ganbench-{token}"
    (place / "jobs").mkdir(parents=True, exist_ok=True)
    return place


def _unpacked(parcel: Parcel, place: Path, job: Job, orders: Orders) -> tuple[Job, Orders]:
    """The job and its orders with what a parcel holds in their place on this node, where its files lie afterwards."""
    import ray

    root = place / "parcels" / parcel.name
    for name, reference in parcel.files:
        path = root / name
        if not path.is_file():  # written whole or not at all, whoever of the node's seats is first
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, ray.get(reference))
    if parcel.kind == "data":
        return replace(job, data_dir=str(root)), orders
    if parcel.kind == "scorer":
        return job, replace(orders, scorer_weights=str(root / parcel.files[0][0]))
    if parcel.kind == "model":
        _, _, attribute = job.model_ref.rpartition(":")
        return replace(job, model_ref=f"{root / parcel.files[0][0]}:{attribute}"), orders
    stem, _, path_text = job.dataset_ref.partition(":")
    return replace(job, dataset_ref=f"{stem}:{root / os.path.basename(os.path.abspath(path_text))}"), orders


def files_read(ref: str, root: str) -> list[str]:
    """The files below `root` that a data set is read from, by reading it once; none where it cannot be read."""
    from ganbench.datasets.load import load
    from ganbench.errors import GanbenchError

    found: dict[str, None] = {}

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | os.PathLike):
            path = os.path.abspath(arguments[0])
            if path.startswith(root + os.sep) and os.path.isfile(path):
                found[os.path.relpath(path, root)] = None

    sys.addaudithook(heard)
    try:
        load(ref, root)
    except GanbenchError:
        return []  # its jobs will say so
    return list(found)


def sweep(token: str) -> None:
    """Remove what a run left on this node."""
    shutil.rmtree(Path(tempfile.gettempdir()) / f"ganbench-{token}", ignore_errors=True)
