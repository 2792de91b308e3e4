"""Runs jobs on a Ray cluster: each a task, in a worker of its node's own; the driver alone writes records.

On its node a task goes the way of a local job: a forked worker, watched by its keeper, with its time limit and its log.
What a job leaves behind comes back through the object store, and data sets and users' files travel the same way, once
to each node. A lost node costs its jobs in flight; Ray runs these again elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ganbench.errors import BadConfig, MissingResource
from ganbench.files import write_atomic
from ganbench.jobs.executors import seat
from ganbench.jobs.executors.base import executor
from ganbench.jobs.executors.driver import Outcome, Watcher, begin, row, store, terminable, writing
from ganbench.jobs.executors.local import TICK, ask, default_workers
from ganbench.jobs.executors.worker import Orders
from ganbench.jobs.records import RunFolder, parse_record
from ganbench.jobs.spec import Job
from ganbench.provenance import environment
from ganbench.registry import DATASETS

LOST = 3  # times that a job is begun again because its node or process was lost
AHEAD = 2  # tasks that wait beyond those that fit, so that no slot stands idle between two


@executor("ray", options=("address", "gpus_per_job"))
def run(
    jobs: Sequence[Job],
    folder: RunFolder,
    watcher: Watcher,
    *,
    workers: int | None = None,
    threads: int = 1,
    job_timeout: Callable[[Job], float | None] = lambda job: None,
    time_limit: float | None = None,
    save_weights: bool = False,
    scorer_weights: str | None = None,
    address: str | None = None,
    gpus_per_job: float | None = None,
) -> Outcome:
    """As `local.run`, on the cluster at `address`; without one a Ray of `workers` cores is started here and stopped.

    Each job takes `threads` cores and `gpus_per_job` of a device: on cuda the whole of one, unless it is said.
    Raises `MissingResource` without Ray or a cluster at the address, `BadConfig` for what cannot travel, `DiskFull` as
    `local.run`.
    """
    for option, value, kind in (("address", address, str), ("gpus_per_job", gpus_per_job, float | int)):
        if not isinstance(value, kind | None):
            raise BadConfig(f"{option} of --executor ray cannot be {value!r}; see docs/howto/ray.md")
    device = jobs[0].spec.device if jobs else "cpu"
    gpus_per_job = float(device == "cuda") if gpus_per_job is None else gpus_per_job
    ray, ours = connect(address, workers or default_workers(threads, device), threads)
    orders = Orders("", environment.git(), save_weights, scorer_weights and os.path.abspath(scorer_weights), threads)
    outcome = Outcome()
    token = secrets.token_hex(8)
    try:
        with terminable():
            waiting = deque(begin(jobs, folder, outcome, watcher, orders))
            if waiting:
                luggage = _Luggage(ray, scorer_weights)
                limits = {"num_cpus": threads, "num_gpus": gpus_per_job, "max_retries": LOST}
                shift = _Shift(ray, folder, watcher, outcome, orders, luggage, limits, token, workers, job_timeout)
                shift.work(waiting, None if time_limit is None else time.monotonic() + time_limit)
    except KeyboardInterrupt:
        outcome.interrupted = True
    finally:
        with contextlib.suppress(Exception):
            _sweep(ray, token)
        if ours:
            ray.shutdown()
    with writing(folder, outcome):
        folder.settle(outcome.records)
    outcome.pending = len(jobs) - len(outcome.records)
    return outcome


def connect(address: str | None, workers: int, threads: int) -> tuple[Any, bool]:
    """The `ray` module, connected, and whether the connection is ours to end. Raises `MissingResource`."""
    try:
        import ray
    except ImportError:
        raise MissingResource("--executor ray needs Ray: pip install 'ganbench[ray]'") from None
    if ray.is_initialized():
        return ray, False
    if address and ":" in address and "://" not in address:
        host, _, port = address.rpartition(":")
        try:  # Ray itself tries for minutes
            socket.create_connection((host, int(port)), timeout=10).close()
        except (OSError, ValueError) as error:
            reason = environment.in_one_line(error)
            raise MissingResource(
                f"no Ray cluster answers at {address!r}: {reason}; `ray start --head` begins one"
            ) from None
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")  # jobs have limits of their own
            ray.init(num_cpus=workers * threads, include_dashboard=False, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = f"no Ray cluster answers at {address!r}" if address else "Ray does not start here"
        raise MissingResource(f"{where}: {environment.in_one_line(error)}; `ray start --head` begins one") from None
    return ray, True


class _Luggage:
    """What jobs need on other machines: files in the object store, each put there once."""

    def __init__(self, ray: Any, scorer_weights: str | None) -> None:
        self.ray, self.scorer_weights = ray, scorer_weights
        self.parcels: dict[tuple[str, str], seat.Parcel | None] = {}

    def of(self, job: Job) -> list[seat.Parcel]:
        """The parcels of a job. Raises `BadConfig` for a metric that stands in a file of the user's."""
        if any(".py:" in name for name in job.spec.metrics):
            raise BadConfig("a metric in a file of your own cannot travel to other machines; install it as a package")
        wanted = [self.once("data", job.dataset_ref, lambda: self.data(job))]
        if ".py:" in job.model_ref:
            wanted.append(self.once("model", job.model_ref, lambda: self.model(job.model_ref)))
        if self.scorer_weights:
            path = Path(self.scorer_weights)
            wanted.append(self.once("scorer", path.name, lambda: self.pack("scorer", path.parent, [path])))
        return [p for p in wanted if p is not None]

    def once(self, kind: str, ref: str, make: Callable[[], seat.Parcel | None]) -> seat.Parcel | None:
        """The parcel of that kind for a reference, packed the first time it is asked for."""
        if (kind, ref) not in self.parcels:
            self.parcels[kind, ref] = make()
        return self.parcels[kind, ref]

    def data(self, job: Job) -> seat.Parcel | None:
        """The files that a data set is read from; None where it needs none."""
        entry = DATASETS.get(job.dataset_ref)
        if entry.builtin:
            return None
        if entry.prefix:
            path = Path(job.dataset_ref.partition(":")[2]).absolute()
            files = [p for p in sorted(path.rglob("*")) if p.is_file()] if path.is_dir() else [path]
            return self.pack("own data", path.parent, files)
        root = job.data_dir or os.environ.get("GANBENCH_DATA")
        if not root:
            return None  # its job will say what is missing
        names = ask(seat.files_read, job.dataset_ref, os.path.abspath(root), timeout=3600)
        return self.pack("data", Path(root).absolute(), [Path(root).absolute() / name for name in names])

    def model(self, ref: str) -> seat.Parcel:
        """A user's model file."""
        path = Path(ref.rpartition(":")[0]).absolute()
        return self.pack("model", path.parent, [path])

    def pack(self, kind: str, root: Path, files: Sequence[Path]) -> seat.Parcel:
        """Put files into the object store."""
        stored = [(p.relative_to(root).as_posix(), self.ray.put(p.read_bytes())) for p in files]
        return seat.Parcel(kind, secrets.token_hex(8), tuple(stored))


class _Shift:
    """Hands jobs to the cluster and stores what comes back."""

    def __init__(
        self, ray: Any, folder: RunFolder, watcher: Watcher, outcome: Outcome, orders: Orders, luggage: _Luggage,
        limits: dict[str, Any], token: str, workers: int | None, job_timeout: Callable[[Job], float | None],
    ) -> None:  # fmt: skip
        self.ray, self.folder, self.watcher, self.outcome, self.orders = ray, folder, watcher, outcome, orders
        self.luggage, self.limits, self.token, self.workers, self.job_timeout = (
            luggage,
            limits,
            token,
            workers,
            job_timeout,
        )
        self.flying: dict[Any, tuple[Job, int, float]] = {}
        self.task = ray.remote(seat.work).options(**limits)
        here = ray.get_runtime_context().get_node_id()
        near = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=True)
        self.notes = ray.remote(seat.Notes).options(num_cpus=0, scheduling_strategy=near).remote()
        self.heard = 0.0

    def work(self, waiting: deque[tuple[Job, int]], until: float | None) -> None:
        """Until all is done, or, after `until`, nothing is running."""
        try:
            while waiting or self.flying:
                late = until is not None and time.monotonic() > until
                if late and not self.flying:
                    return
                ahead = 0 if until is not None else AHEAD
                while waiting and not late and len(self.flying) < self.slots() + ahead:
                    self.send(*waiting.popleft())
                self.land()
                self.look()
        finally:
            for ref in self.flying:
                with contextlib.suppress(Exception):
                    self.ray.cancel(ref, force=True)

    def slots(self) -> int:
        """How many jobs run at once: as many as fit the cluster as it stands, or as were asked for."""
        if self.workers:
            return self.workers
        total = self.ray.cluster_resources()
        fitting = total.get("CPU", 1.0) / self.limits["num_cpus"]
        if self.limits["num_gpus"]:
            fitting = min(fitting, total.get("GPU", 0.0) / self.limits["num_gpus"])
        return max(1, int(fitting))

    def send(self, job: Job, attempt: int) -> None:
        """One job as a task."""
        limit = self.job_timeout(job)
        ref = self.task.remote(
            job,
            self.orders,
            attempt,
            limit,
            self.token,
            self.luggage.of(job),
            bool(self.limits["num_gpus"]),
            self.notes,
        )
        self.flying[ref] = (job, attempt, time.monotonic())

    def land(self) -> None:
        """Store what has come back."""
        ready, _ = self.ray.wait(list(self.flying), num_returns=1, timeout=TICK)
        for ref in ready:
            job, attempt, _ = self.flying.pop(ref)
            self.store(job, attempt, ref)

    def store(self, job: Job, attempt: int, ref: Any) -> None:
        """Write the files and the record of a job; what did not come back is a row with the reason."""
        try:
            found: seat.Returned = self.ray.get(ref)
        except self.ray.exceptions.OutOfMemoryError:
            reason = "the node ran out of memory, and Ray ended the worker"
            return store(self.folder, row(job, "oom", reason, self.orders, attempt), self.outcome, self.watcher)
        except self.ray.exceptions.RayError as error:
            reason = f"lost on the cluster {LOST + 1} times: {environment.in_one_line(error)}"[:400]
            return store(self.folder, row(job, "failed", reason, self.orders, attempt), self.outcome, self.watcher)
        record = parse_record(found.record)
        record.git = self.orders.git
        place = self.folder.job_folder(job.spec)
        with writing(self.folder, self.outcome):
            for name, text in found.files.items():
                path = place / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(path, text)
            if found.environment is not None:
                record.env_ref = self.folder.write_environment(found.environment)
        return store(self.folder, record, self.outcome, self.watcher)

    def look(self) -> None:
        """Tell the watcher what the nodes are at, once a second."""
        if time.monotonic() - self.heard > 1:
            self.heard = time.monotonic()
            with contextlib.suppress(Exception):  # progress is not worth a run
                self.watcher.tick(self.ray.get(self.notes.all.remote(), timeout=1))


def _sweep(ray: Any, token: str) -> None:
    """Have every node remove what the run left on its disk."""
    affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    alive = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    task = ray.remote(seat.sweep)
    done = [task.options(num_cpus=0, scheduling_strategy=affinity(n, soft=False)).remote(token) for n in alive]
    ray.wait(done, num_returns=len(done), timeout=10)
