"""Runs jobs on this machine: workers that outlive crashes, hangs and kills of each other, and one writer of records.

Jobs of built-in models share workers; what stands on code of others, by path or entry point, has a worker of its own,
which ends with its jobs. A worker that a job has changed (`ganbench.jobs.executors.canary`) is not used again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

from ganbench.errors import BadConfig, BadInput, GanbenchError
from ganbench.jobs.executors import worker
from ganbench.jobs.executors.base import executor
from ganbench.jobs.executors.driver import NO_ROOM, Outcome, Watcher, begin, row, store, terminable, writing
from ganbench.jobs.executors.process import KILL, Crew, Event, Worker
from ganbench.jobs.records import Record, RunFolder, Status, parse_record
from ganbench.jobs.spec import Job
from ganbench.provenance import environment
from ganbench.registry import DATASETS, METRICS, MODELS, Registry

STILLBORN = 3  # workers that may die before they can work, one after the other
START = 300.0  # seconds for a worker to be able to work
FORCE = 15.0  # seconds for a worker to end when it is told to
TICK = 0.2


@executor("local", options=("jobs_per_gpu",))
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
    jobs_per_gpu: int | None = None,
) -> Outcome:
    """Run what has no final record yet on this machine, each worker on `threads` cores.

    With `jobs_per_gpu` each worker sees one device, which so many share; without it workers see all devices.

    Ctrl-C stops it: the outcome says so, and the same call goes on later.
    Raises `DiskFull` when a record cannot be written; those before it are whole.
    """
    weights = None if scorer_weights is None else os.path.abspath(scorer_weights)
    orders = worker.Orders(os.path.abspath(folder.root), environment.git(), save_weights, weights, threads)
    outcome, waiting = Outcome(), deque[tuple[Job, int]]()
    device = jobs[0].spec.device if jobs else "cpu"
    gpus = gpu_slots(jobs_per_gpu) if jobs_per_gpu and device == "cuda" else []
    workers = workers or default_workers(threads, device, jobs_per_gpu)
    try:
        with terminable():
            waiting.extend(begin(jobs, folder, outcome, watcher, orders))
            if waiting:
                with Crew(threads) as crew:
                    shift = Shift(crew, waiting, folder, watcher, outcome, orders, workers, job_timeout, gpus)
                    shift.work(None if time_limit is None else time.monotonic() + time_limit)
    except KeyboardInterrupt:
        outcome.interrupted = True
    finally:
        shutil.rmtree(folder.root / ".progress", ignore_errors=True)
    with writing(folder, outcome):
        folder.settle(outcome.records)
    outcome.pending = len(jobs) - len(outcome.records)
    return outcome


def ask(function: Callable[..., Any], *arguments: Any, timeout: float = 120) -> Any:
    """What a function answers that is called in a process of its own: this one need not import torch for it.

    The answer is what JSON makes of it. Raises `GanbenchError` when there is none.
    """
    with Crew(jobs=False) as crew:
        return answer(crew, crew.start(), function, *arguments, timeout=timeout)


def answer(crew: Crew, asked: Worker, function: Callable[..., Any], *arguments: Any, timeout: float) -> Any:
    """What one worker answers to one call, as JSON has it. Raises `GanbenchError` when there is no answer."""
    asked.call(function, *arguments)
    end = time.monotonic() + timeout
    with contextlib.suppress(Empty):
        while True:
            event = crew.events.get(timeout=max(0.0, end - time.monotonic()))
            if event.worker != asked.number:
                continue
            if event.said is None:
                raise GanbenchError(f"a process that was asked died: {_cause_of_death(event.ended)}")
            if "error" in event.said:
                raise GanbenchError(f"a process that was asked failed: {event.said['error']}")
            if "answer" in event.said:
                return event.said["answer"]
    raise GanbenchError(f"a process that was asked did not answer within {timeout:g} s")


def default_workers(threads: int = 1, device: str = "cpu", jobs_per_gpu: int | None = None) -> int:
    """How many work at once where nobody says: one for each `threads` cores that this process may use.

    Beside a device that they share at most four; with `jobs_per_gpu` one for each slot.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    most = max(1, cores // threads)
    slots = gpu_slots(jobs_per_gpu) if jobs_per_gpu and device == "cuda" else []
    return len(slots) or (most if device == "cpu" else min(4, most))


def gpu_slots(each: int) -> list[str]:
    """A name for each worker's CUDA device, `each` of every device that may be used here, devices taking turns.

    Raises `BadConfig` for no number.
    """
    if not isinstance(each, int) or each < 1:
        raise BadConfig(f"jobs_per_gpu must be a number from 1 on; got {each!r}")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        visible = ",".join(p.name.removeprefix("nvidia") for p in sorted(Path("/dev").glob("nvidia[0-9]*")))
    return [name.strip() for _ in range(each) for name in visible.split(",") if name.strip()]


def foreign(job: Job) -> tuple[str, ...]:
    """What of a job is code of others, by reference; empty where all of it is built in."""
    parts: list[tuple[Registry[Any], str]] = [(MODELS, job.model_ref), (DATASETS, job.dataset_ref)]
    parts += [(METRICS, m) for m in job.spec.metrics]
    found = []
    for registry, ref in parts:
        try:
            module = registry.get(ref).module
        except GanbenchError:  # it will say so where it runs
            module = ref
        if module.partition(".")[0] not in ("ganbench", "baselines") or module.endswith(".py"):
            found.append(ref)
    return tuple(found)


@dataclass
class _Hand:
    """A worker with what it is at."""

    process: Worker
    key: tuple[str, ...]  # the code of others that it may run; empty: only what is built in
    gpu: str | None = None  # the only one that it sees; None: all
    job: Job | None = None
    attempt: int = 0
    deadline: float | None = None
    over: bool = False  # its time was up


class Shift:
    """Hands out the jobs that wait and stores what becomes of them."""

    def __init__(
        self,
        crew: Crew,
        waiting: deque[tuple[Job, int]],
        folder: RunFolder,
        watcher: Watcher,
        outcome: Outcome,
        orders: worker.Orders,
        workers: int,
        job_timeout: Callable[[Job], float | None],
        gpus: Sequence[str] = (),
    ) -> None:
        self.gpus = gpus
        self.crew, self.waiting, self.folder, self.watcher, self.outcome = crew, waiting, folder, watcher, outcome
        self.orders, self.workers, self.job_timeout = orders, workers, job_timeout
        self.hands: dict[int, _Hand] = {}
        self.keys: dict[tuple[str, str], tuple[str, ...]] = {}
        self.stillborn, self.kills = 0, environment.kills_for_memory()

    def work(self, until: float | None) -> None:
        """Until all is done, or, after `until`, no job is running."""
        while True:
            late = until is not None and time.monotonic() > until
            busy = sum(hand.job is not None for hand in self.hands.values())
            if not busy and (late or not self.waiting):
                return
            while self.waiting and not late and busy < self.workers and self.hand_out():
                busy += 1
            with contextlib.suppress(Empty):
                self.hear(self.crew.events.get(timeout=TICK))
            for hand in self.hands.values():
                if hand.deadline is not None and time.monotonic() > hand.deadline:
                    hand.process.end(force=hand.over)  # a second time: its keeper does not answer
                    hand.over, hand.deadline = True, time.monotonic() + FORCE
            self.watcher.tick(list(_heartbeats(self.folder.root / ".progress")))

    def hand_out(self) -> bool:
        """Give the next job to an idle worker that may take it, or to a new one; False when none can be had."""
        if self.stillborn >= STILLBORN:
            job, attempt = self.waiting.popleft()
            reason = "no worker stays alive long enough to take a job; see `ganbench doctor`"
            self.store(row(job, "failed", reason, self.orders, attempt))
            return False
        job, attempt = self.waiting.popleft()
        key = self.key(job)
        idle = [n for n, h in self.hands.items() if h.job is None and not h.over]
        number = next((n for n in idle if self.hands[n].key == key), None)
        if number is None:
            for n in idle[: max(0, len(idle) - self.workers + 1)]:  # each keeps hundreds of megabytes
                self.retire(self.hands[n])
            try:
                process = self.crew.start(gpu := self.free_gpu())
            except OSError:
                self.stillborn += 1
                self.waiting.appendleft((job, attempt))
                return False
            number = process.number
            self.hands[number] = _Hand(process, key, gpu)
        hand = self.hands[number]
        hand.job, hand.attempt = job, attempt
        hand.deadline = time.monotonic() + START if hand.process.pid is None else self.limit(job)
        place = Path(self.orders.root) / "jobs" / self.folder.job_folder(job.spec).name
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            (place / "log.txt").unlink(missing_ok=True)
        hand.process.call(worker.work, job, self.orders, attempt, log=place / "log.txt")
        return True

    def free_gpu(self) -> str | None:
        """A device with a slot that no worker has, the emptiest first; None where slots are not counted."""
        taken = [h.gpu for h in self.hands.values() if not h.over]
        return min(dict.fromkeys(self.gpus), key=lambda g: taken.count(g) / self.gpus.count(g), default=None)

    def key(self, job: Job) -> tuple[str, ...]:
        """What of a job is code of others; a run's jobs share their metrics."""
        parts = job.model_ref, job.dataset_ref
        if parts not in self.keys:
            self.keys[parts] = foreign(job)
        return self.keys[parts]

    def limit(self, job: Job) -> float | None:
        """When a job that starts now is to be stopped."""
        seconds = self.job_timeout(job)
        return None if seconds is None else time.monotonic() + seconds

    def hear(self, event: Event) -> None:
        """Take in what a worker said, or that it ended."""
        hand = self.hands.get(event.worker)
        if hand is None:
            return
        job, said = hand.job, event.said
        if said is None:
            self.bury(hand, event.ended)
        elif "ready" in said and hand.process.pid is None:
            hand.process.pid, self.stillborn = int(said["ready"]), 0
            hand.deadline = None if job is None else self.limit(job)
        elif job is not None and ("answer" in said or "error" in said):
            record = self.record(hand, job, said)
            hand.job = hand.deadline = None
            needed = any(self.key(other) == hand.key for other, _ in self.waiting) if hand.key else True
            if hand.over or said.get("changed") or not needed:
                self.retire(hand)
            self.store(record)

    def record(self, hand: _Hand, job: Job, said: dict[str, Any]) -> Record:
        """The record that a worker answers with, or one that says why it is none."""
        if "error" in said:
            status: Status = "oom" if said.get("memory") else "failed"
            return row(job, status, f"worker: {said['error']}"[:400], self.orders, hand.attempt)
        try:
            record = parse_record(said["answer"]["record"])
            if record.job_id != job.spec.job_id:
                raise BadInput("it is that of another job")
            found = said["answer"]["environment"]
            with writing(self.folder, self.outcome):
                record.env_ref = self.folder.write_environment(found)
        except (BadInput, KeyError, TypeError) as error:
            return row(job, "failed", f"worker: no record came back: {error}"[:400], self.orders, hand.attempt)
        record.git = self.orders.git
        if (record.error or {}).get("errno") in NO_ROOM:  # so a model says; whether it is so, the driver tries itself
            with writing(self.folder, self.outcome):
                self.folder.try_to_write()
        return record

    def bury(self, hand: _Hand, code: int | None) -> None:
        """A worker has ended: its job gets a row, unless the worker never came to work."""
        del self.hands[hand.process.number]
        self.crew.workers.pop(hand.process.number, None)
        if hand.process.pid is not None:
            with contextlib.suppress(OSError):
                (self.folder.root / ".progress" / str(hand.process.pid)).unlink(missing_ok=True)
        if hand.job is None:
            return
        if hand.process.pid is None:
            self.stillborn += 1
            self.waiting.appendleft((hand.job, hand.attempt))
            return
        status: Status = "failed"
        reason = _cause_of_death(code)
        if hand.over:
            limit = self.job_timeout(hand.job)
            status, reason = "timeout", f"stopped after {limit:g} s, the limit for one job (--job-timeout)"
        elif code == -KILL and environment.kills_for_memory() > self.kills:
            status, self.kills = "oom", environment.kills_for_memory()
            reason = "the system ran out of memory and killed the worker"
        self.store(row(hand.job, status, reason, self.orders, hand.attempt))

    def retire(self, hand: _Hand) -> None:
        """Let a worker go that has no job."""
        hand.over, hand.deadline = True, time.monotonic() + FORCE
        hand.process.end()

    def store(self, record: Record) -> None:
        store(self.folder, record, self.outcome, self.watcher)


def _cause_of_death(code: int | None) -> str:
    if code is not None and code < 0:
        hint = ": the system may have run out of memory" if code == -9 else ""
        return f"the worker was killed by signal {-code}{hint}"
    if code == worker.LOST:
        return "the worker cannot answer any more: the job closed its descriptors, or left it no memory or limits to"
    return f"the worker ended with exit code {code} in the middle of the job"


def _heartbeats(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("[0-9]*")) if folder.is_dir() else []:
        with contextlib.suppress(OSError, ValueError):
            yield json.loads(path.read_text(encoding="utf-8"))
