"""Runs jobs on this machine: a pool of worker processes that outlives crashes, hangs and kills of its members."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

from pebble import ProcessExpired, ProcessPool

from ganbench import environment
from ganbench.errors import GanbenchError
from ganbench.executors import worker
from ganbench.jobs import Job
from ganbench.records import SCHEMA, DiskFull, Record, RunFolder, Status, parse_record

POOL_RESTARTS = 3
TICK = 0.2


class Watcher(Protocol):
    """Who is told how the run goes."""

    def finished(self, record: Record, cached: bool) -> None:
        """One job has a record."""
        ...

    def tick(self, running: list[dict[str, Any]]) -> None:
        """Several times a second: what each worker is at ({"job", "iteration", "share", "rate"})."""
        ...


@dataclass
class Outcome:
    """How a run ended."""

    records: list[Record] = field(default_factory=list)
    cached: int = 0  # of these, taken from an earlier run
    pending: int = 0  # jobs that the time limit left for the next run
    interrupted: bool = False


def run(
    jobs: Sequence[Job],
    folder: RunFolder,
    watcher: Watcher,
    *,
    workers: int,
    threads: int = 1,
    job_timeout: Callable[[Job], float | None] = lambda job: None,
    time_limit: float | None = None,
    save_weights: bool = False,
    scorer_weights: str | None = None,
) -> Outcome:
    """Run what has no final record yet, each worker on `threads` cores.

    Ctrl-C stops it: the outcome says so, and the same call goes on later.
    Raises `DiskFull` when a record cannot be written; those before it are whole.
    """
    orders = worker.Orders(str(folder.root), environment.git(), save_weights, scorer_weights, threads)
    outcome = Outcome()
    waiting: deque[tuple[Job, int]] = deque()
    terminate = _interrupt_on_terminate()
    try:
        for job in jobs:
            record = folder.read(job.spec)
            if record is not None and (record.final or (record.status == "skipped" and record.reason == job.skip)):
                outcome.records.append(record)
                outcome.cached += 1
                watcher.finished(record, True)
            elif job.skip is not None:
                _store(folder, _row(job, record, "skipped", job.skip, orders), outcome, watcher)
            else:
                waiting.append((job, record.attempt + 1 if record else 1))
        for _ in range(POOL_RESTARTS):
            try:
                _drain(waiting, folder, watcher, outcome, orders, workers, job_timeout, time_limit)
                break
            except BrokenProcessPool:  # a worker was killed while it had no job: begin again with a new pool
                continue
        while waiting and not time_limit:
            job, attempt = waiting.popleft()
            reason = "no worker stays alive long enough to take a job; see `ganbench doctor`"
            _store(folder, _row(job, None, "failed", reason, orders, attempt), outcome, watcher)
    except KeyboardInterrupt:
        outcome.interrupted = True
    except OSError as error:
        raise DiskFull(
            f"cannot write to {folder.root.name!r}: {error.strerror or error}; {len(outcome.records)} records are "
            "whole; free some space and run the same command again"
        ) from None
    finally:
        shutil.rmtree(folder.root / ".progress", ignore_errors=True)
        if terminate is not None:
            signal.signal(signal.SIGTERM, terminate)
    outcome.pending = len(jobs) - len(outcome.records)
    return outcome


def ask(function: Callable[..., Any], *arguments: Any, timeout: float = 120) -> Any:
    """The value of a function called in a process of its own, so that this one need not import torch."""
    with _pool(1) as pool:
        try:
            return pool.schedule(function, args=arguments, timeout=timeout).result()
        except (ProcessExpired, TimeoutError) as error:
            raise GanbenchError(f"the process that checks configs died: {error}") from None


def default_workers() -> int:
    """One worker per core this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _drain(
    waiting: deque[tuple[Job, int]],
    folder: RunFolder,
    watcher: Watcher,
    outcome: Outcome,
    orders: worker.Orders,
    workers: int,
    job_timeout: Callable[[Job], float | None],
    time_limit: float | None,
) -> None:
    """Keep the pool fed, one job ahead of the workers, and store what comes back."""
    if not waiting:
        return
    start = time.monotonic()
    flying: dict[Any, tuple[Job, int]] = {}
    with _pool(min(workers, len(waiting)), orders.threads) as pool:
        try:
            while waiting or flying:
                late = time_limit is not None and time.monotonic() - start > time_limit
                if late and not flying:
                    return
                while waiting and not late and len(flying) <= workers:
                    job, attempt = waiting.popleft()
                    arguments = (job, orders, attempt)
                    try:
                        future: Any = pool.schedule(worker.work, args=arguments, timeout=job_timeout(job))
                    except RuntimeError:  # the pool broke since the last look
                        waiting.appendleft((job, attempt))
                        raise BrokenProcessPool from None
                    flying[future] = (job, attempt)
                done, _ = wait(flying, timeout=TICK, return_when=FIRST_COMPLETED)
                for ended in done:
                    job, attempt = flying[ended]
                    record = _result(ended, job, attempt, folder, orders, job_timeout(job))
                    del flying[ended]
                    _store(folder, record, outcome, watcher)
                watcher.tick(list(_heartbeats(folder.root / ".progress")))
        except BrokenProcessPool:
            waiting.extendleft(reversed(flying.values()))
            raise


def _result(
    future: Future[str], job: Job, attempt: int, folder: RunFolder, orders: worker.Orders, timeout: float | None
) -> Record:
    """The record of a finished future, made here when the worker could not."""
    status: Status
    try:
        return parse_record(future.result())
    except BrokenProcessPool:
        raise
    except TimeoutError:
        status, reason = "timeout", f"stopped after {timeout:g} s, the limit for one job (--job-timeout)"
    except ProcessExpired as error:
        status, reason = "failed", _cause_of_death(error.exitcode)
    except CancelledError:
        status, reason = "failed", "cancelled"
    except OSError:
        raise
    except Exception as error:
        last = traceback.format_exception_only(error)[-1].strip()
        status, reason = "failed", environment.without_paths(f"worker: {last}"[:400])
    written = folder.read(job.spec)  # it may have died just after it wrote
    if written is not None and written.attempt == attempt:
        return written
    return _row(job, None, status, reason, orders, attempt)


def _store(folder: RunFolder, record: Record, outcome: Outcome, watcher: Watcher) -> None:
    known = folder.read(record.spec)
    if known is None or known.attempt != record.attempt:
        folder.write(record)
    folder.append(record)
    outcome.records.append(record)
    watcher.finished(record, False)


def _row(
    job: Job, earlier: Record | None, status: Status, reason: str, orders: worker.Orders, attempt: int | None = None
) -> Record:
    """A record for a job that did not get to write its own."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Record(
        schema=SCHEMA,
        job_id=job.spec.job_id,
        spec=job.spec,
        status=status,
        reason=reason,
        attempt=attempt or (earlier.attempt + 1 if earlier else 1),
        git=orders.git,
        started_at=now,
        ended_at=now,
    )


def _cause_of_death(code: int | None) -> str:
    if code is not None and code < 0:
        hint = ": the system may have run out of memory" if code == -9 else ""
        return f"the worker was killed by signal {-code}{hint}"
    return f"the worker ended with exit code {code} in the middle of the job"


def _interrupt_on_terminate() -> Any:
    """Let SIGTERM end a run as Ctrl-C does; returns what it did before, or None where signals cannot be set."""
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, signal.default_int_handler)


def _heartbeats(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("[0-9]*")) if folder.is_dir() else []:
        with contextlib.suppress(OSError, ValueError):
            yield json.loads(path.read_text(encoding="utf-8"))


@contextlib.contextmanager
def _pool(workers: int, threads: int = 1) -> Iterator[ProcessPool]:
    """A pool of spawned workers that is stopped at once on the way out, whatever the reason."""
    context = get_context("spawn")
    pool = ProcessPool(workers, initializer=worker.start, initargs=(os.getpid(), threads), context=context)
    try:
        yield pool
    finally:
        pool.stop()
        pool.join()
