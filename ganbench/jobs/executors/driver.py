"""The driver's side of every executor: what is cached, the one writer of records, how a run is interrupted."""

from __future__ import annotations

import contextlib
import errno
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ganbench.jobs.executors.worker import Orders
from ganbench.jobs.records import SCHEMA, DiskFull, Record, RunFolder, Status, now
from ganbench.jobs.spec import Job

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Watcher(Protocol):
    """Who is told how the run goes."""

    def finished(self, record: Record, cached: bool) -> None:
        """One job has a record."""
        ...

    def tick(self, running: list[dict[str, Any]]) -> None:
        """Several times a second: what each worker is at ({"job", "iteration", "share", "rate"})."""
        ...


class Unheard:
    """A watcher that nobody listens to."""

    def finished(self, record: Record, cached: bool) -> None:
        """Say nothing."""

    def tick(self, running: list[dict[str, Any]]) -> None:
        """Say nothing."""


@dataclass
class Outcome:
    """How a run ended."""

    records: list[Record] = field(default_factory=list)
    cached: int = 0  # of these, taken from an earlier run
    pending: int = 0  # jobs that the time limit left for the next run
    interrupted: bool = False


def begin(
    jobs: Sequence[Job], folder: RunFolder, outcome: Outcome, watcher: Watcher, orders: Orders
) -> Iterator[tuple[Job, int]]:
    """The jobs that have no final record yet, each with the number of its next attempt; the others are stored."""
    for job in jobs:
        record = folder.read(job.spec)
        if record is not None and (record.final or (record.status == "skipped" and record.reason == job.skip)):
            outcome.records.append(record)
            outcome.cached += 1
            watcher.finished(record, True)
        elif job.skip is not None:
            store(folder, row(job, "skipped", job.skip, orders, _next(record)), outcome, watcher)
        else:
            yield job, _next(record)


def store(folder: RunFolder, record: Record, outcome: Outcome, watcher: Watcher) -> None:
    with writing(folder, outcome):
        folder.write(record)
        folder.append(record)
        if record.final:
            folder.checkpoint(record.spec).unlink(missing_ok=True)
    outcome.records.append(record)
    watcher.finished(record, False)


@contextlib.contextmanager
def writing(folder: RunFolder, outcome: Outcome) -> Iterator[None]:
    """Only what the driver itself cannot write ends a run."""
    try:
        yield
    except OSError as error:
        cure = "free some space and" if error.errno in NO_ROOM else "make it writable and"
        raise DiskFull(
            f"cannot write to {folder.root.name!r}: {error.strerror or error}; {len(outcome.records)} records are "
            f"whole; {cure} run the same command again"
        ) from None


def _next(record: Record | None) -> int:
    return record.attempt + 1 if record else 1


def row(job: Job, status: Status, reason: str, orders: Orders, attempt: int) -> Record:
    """A record for a job that has none of its own."""
    here = now()
    return Record(
        schema=SCHEMA,
        job_id=job.spec.job_id,
        spec=job.spec,
        status=status,
        reason=reason,
        attempt=attempt,
        git=orders.git,
        started_at=here,
        ended_at=here,
    )


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does, where signals can be set."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
