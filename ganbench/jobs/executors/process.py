"""The driver's end of its workers: starts them, sends them calls, hears of answers and ends as events in one queue."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from ganbench.jobs.executors.keeper import ORDER

HAS_KEEPER = sys.platform == "linux"
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has no stronger one
ANSWER_BYTES = 1 << 26  # of one line from a worker; more is no answer
BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from ganbench.jobs.executors.keeper import template; template(int(sys.argv[2]), bool(int(sys.argv[3])))"
)


@dataclass(frozen=True)
class Event:
    """What one worker said, or how it ended: exactly one of the two."""

    worker: int
    said: dict[str, Any] | None = None
    ended: int | None = None  # exit code, or -signal


def order(gpu: str | None) -> bytes:
    """What a template is told of a new worker: always `ORDER` bytes, so that two orders cannot run together."""
    return json.dumps({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}).encode().ljust(ORDER)


class Crew:
    """The workers of a run. Leaving the context ends every process, and what they started."""

    def __init__(self, threads: int = 1, jobs: bool = True) -> None:
        self.threads, self.jobs = threads, jobs  # whether they will do jobs, and should load what those need at once
        self.events: SimpleQueue[Event] = SimpleQueue()
        self.workers: dict[int, Worker] = {}
        self._numbers = itertools.count()
        self._template: tuple[subprocess.Popen[bytes], socket.socket] | None = None

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in list(self.workers.values()):
            worker.end()
        for worker in list(self.workers.values()):
            worker.join(5)
        self._dismiss()

    def start(self, gpu: str | None = None) -> Worker:
        """A new worker; it says {"ready": pid} when it can work. Raises `OSError` when none can be started.

        With `gpu` it sees that CUDA device alone; an empty name hides all.
        """
        make = self._fork if HAS_KEEPER else self._spawn
        number = next(self._numbers)
        self.workers[number] = worker = make(number, gpu)
        return worker

    def _fork(self, number: int, gpu: str | None) -> Worker:
        control, its_control = socket.socketpair()
        channel, its_channel = socket.socketpair()
        with its_control, its_channel:
            for attempt in (1, 2):
                try:
                    template = self._template or self._start_template()
                    socket.send_fds(template[1], [order(gpu)], [its_control.fileno(), its_channel.fileno()])
                    break
                except OSError:  # someone killed the template
                    self._dismiss()
                    if attempt == 2:
                        raise
        return Worker(number, channel, self.events, control)

    def _start_template(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, its = socket.socketpair()
        path = json.dumps([os.path.abspath(p) for p in sys.path])
        command = [sys.executable, "-u", "-c", BOOT, path, str(its.fileno()), str(int(self.jobs))]
        threads = {f"{name}_NUM_THREADS": str(self.threads) for name in ("OMP", "MKL", "OPENBLAS")}
        environment = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"} | os.environ | threads  # as deterministic products need it
        with its:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=2, pass_fds=[its.fileno()], env=environment
            )
        self._template = process, ours
        return self._template

    def _dismiss(self) -> None:
        if self._template is not None:
            process, line = self._template
            self._template = None
            line.close()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _spawn(self, number: int, gpu: str | None) -> Worker:
        """Where there is no keeper: an interpreter of its own, whose own children are left to it."""
        from ganbench.jobs.executors import worker

        channel, its = socket.socketpair()
        with its:
            process = get_context("spawn").Process(
                target=worker.serve_spawned, args=(its, os.getpid(), self.threads, gpu)
            )
            process.daemon = True
            process.start()

        return Worker(number, channel, self.events, process)


class Worker:
    """One worker, as the driver sees it: by the control socket of its keeper, or as a process without one."""

    def __init__(
        self, number: int, channel: socket.socket, events: SimpleQueue[Event], guard: socket.socket | SpawnProcess
    ) -> None:
        self.number, self.channel, self.events, self.guard = number, channel, events, guard
        self.pid: int | None = None  # known when it is ready
        self.keeper: int | None = None
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._listen, self._wait)]
        for thread in self._threads:
            thread.start()

    def call(self, function: Callable[..., Any], *arguments: Any, log: Path | None = None) -> None:
        """Have it call a function of ganbench; its answer is an event. A worker that is gone has said so already."""
        with contextlib.suppress(OSError):
            if isinstance(self.guard, socket.socket) and log is not None:
                self.guard.sendall(b"log " + os.fsencode(log) + b"\n")
            self.channel.sendall(pickle.dumps((function, arguments, log)))

    def end(self, force: bool = False) -> None:
        """End it and all that it started; the event of its end follows. By force: though its keeper does not answer."""
        with contextlib.suppress(OSError):
            if not isinstance(self.guard, socket.socket):
                self.guard.kill()
            elif not force:
                self.guard.shutdown(socket.SHUT_WR)
            elif self.keeper is not None:
                os.kill(self.keeper, KILL)

    def join(self, timeout: float) -> None:
        """Wait until it has ended."""
        self._threads[0].join(timeout)

    def _listen(self) -> None:
        """Pass on each line of JSON; anything else that a model writes there is no answer."""
        with contextlib.suppress(OSError), self.channel.makefile("rb") as lines:
            while line := lines.readline(ANSWER_BYTES):
                with contextlib.suppress(ValueError, RecursionError):
                    said = json.loads(line)
                    if isinstance(said, dict):
                        self.events.put(Event(self.number, said))
        self._threads[1].join()
        self.channel.close()
        self.events.put(Event(self.number, ended=self.code))

    def _wait(self) -> None:
        """Wait for the end; then the channel ends too, whoever still holds its other side."""
        self.code = -KILL  # of a worker whose keeper was killed
        if isinstance(self.guard, socket.socket):
            with contextlib.suppress(OSError, ValueError), self.guard.makefile("r") as lines:
                for line in lines:
                    kind, number = line.split()
                    if kind == "keeper":
                        self.keeper = int(number)
                    else:
                        self.code = int(number)
        else:
            self.guard.join()
            self.code = self.guard.exitcode or 0
        with contextlib.suppress(OSError):
            self.channel.shutdown(socket.SHUT_RDWR)
        if isinstance(self.guard, socket.socket):
            self.guard.close()
