"""Linux: a template process that has torch imported forks workers; a keeper beside each one ends all it started.

    driver -> template -> keeper -> worker -> whatever a model starts

A fork costs milliseconds where a fresh interpreter with torch costs seconds. The keeper is the subreaper of its worker:
forks that leave their parent, their group or their session fall to it, and it kills them when the worker ends or the
driver is gone. It also writes the worker's output to the job's log, up to a limit. It is alone in a session of its own,
so that a model which signals its parent or its group reaches neither the driver nor another worker.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

SET_DEATH_SIGNAL, SET_SUBREAPER = 1, 36  # prctl
ORDER = 256  # bytes of what a driver says of a new worker
LOG_BYTES = 1 << 20  # of a job's output that are kept
GRACE = 0.5  # seconds in which a resource tracker may clean up behind its processes
TRACKER = b"multiprocessing.resource_tracker"


def template(descriptor: int, jobs: bool) -> NoReturn:
    """Import what jobs need, if any will come; fork a keeper for each pair of sockets that the driver sends."""
    driver = socket.socket(fileno=descriptor)
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prctl(SET_SUBREAPER, 1)  # for what a worker leaves that kills its keeper
    from ganbench.jobs.executors import worker

    worker.preload(jobs)
    gc.freeze()  # or the first collection of each fork would copy every page
    while True:
        message, descriptors, _, _ = socket.recv_fds(driver, ORDER, 2)
        if not message:
            break
        if os.fork() == 0:
            driver.close()
            os.environ.update(json.loads(message))
            control, channel = (socket.socket(fileno=d) for d in descriptors)
            _keep(control, channel, worker.serve)
        for d in descriptors:
            os.close(d)
        _reap()
    end = time.monotonic() + 2
    while descendants(os.getpid()) and time.monotonic() < end:  # keepers know that the driver is gone, too
        _reap()
        time.sleep(0.01)
    _end_all(None)
    os._exit(0)


def _keep(control: socket.socket, channel: socket.socket, serve: Callable[[socket.socket], NoReturn]) -> NoReturn:
    """Start a worker and watch over it: `log PATH` on the control socket opens a log, its end ends the worker.

    It says `keeper PID` there first, and `ended CODE` last, when nothing of the worker is left.
    """
    os.setsid()
    prctl(SET_SUBREAPER, 1)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    output, said = os.pipe()
    keeper, pid = os.getpid(), os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        prctl(SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(1)
        with contextlib.suppress(OSError):  # where memory runs out, a worker goes before the driver
            Path("/proc/self/oom_score_adj").write_text("500")
        control.close()
        for d, target in ((said, 1), (said, 2)):
            os.dup2(d, target)
        for d in (woken, wake, output, said):
            os.close(d)
        serve(channel)
    channel.close()
    os.close(said)
    control.sendall(f"keeper {keeper}\n".encode())
    code = _watch(control, output, woken, pid, log := Log())
    code = _end_all(pid) if code is None else code
    _end_all(None)
    os.set_blocking(output, False)
    with contextlib.suppress(OSError):  # what it said last
        while text := os.read(output, 1 << 16):
            log.write(text)
    log.close()
    with contextlib.suppress(OSError):
        control.sendall(f"ended {code}\n".encode())
    os._exit(0)


def _watch(control: socket.socket, output: int, woken: int, pid: int, log: Log) -> int | None:
    """Write the log until the worker ends (its exit code, or -signal) or is to be ended (None)."""
    orders = b""
    with selectors.DefaultSelector() as ready:
        for source in (control, output, woken):
            ready.register(source, selectors.EVENT_READ)
        while True:
            found = {key.fileobj for key, _ in ready.select()}
            if control in found:  # first, for the order for a log comes before what is to be written there
                text = control.recv(1 << 16)
                if not text:
                    return None
                *lines, orders = (orders + text).split(b"\n")
                for line in lines:
                    log.open(Path(os.fsdecode(line.removeprefix(b"log "))))
            if output in found and not log.write(os.read(output, 1 << 16)):
                ready.unregister(output)
            if woken in found:
                os.read(woken, 1 << 10)
                while True:
                    try:
                        ended, status = os.waitpid(-1, os.WNOHANG)
                    except ChildProcessError:
                        return 1
                    if ended == pid:
                        return os.waitstatus_to_exitcode(status)
                    if not ended:
                        break


def _end_all(pid: int | None) -> int:
    """Kill every process below this one, forks of forks too; returns the exit code of `pid`, if it was one of them."""
    code, start = -signal.SIGKILL.value, time.monotonic()
    while time.monotonic() < start + 10:  # against what forks faster than it can be killed
        below = descendants(os.getpid())
        for other in below:
            if time.monotonic() > start + GRACE or TRACKER not in _command(other):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(other, signal.SIGKILL)
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
        if not ended:
            time.sleep(0.002)
    return code


def descendants(root: int) -> list[int]:
    """Processes below `root`, by what /proc says."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            after = path.read_bytes().rpartition(b") ")[2].split()  # a name may hold blanks and brackets
            if after[0] not in (b"Z", b"X"):
                parents[int(path.parent.name)] = int(after[1])
    found, layer = list[int](), {root}
    while layer := {p for p, parent in parents.items() if parent in layer}:
        found += layer
    return found


def _reap() -> None:
    """Take leave of children that have ended; so their CPU seconds count in those of the run."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def prctl(option: int, value: int) -> None:
    """Ask the kernel for something; without it a stray process may outlive a run."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


class Log:
    """The file that a job's output goes to: made at the first byte, cut at `LOG_BYTES`."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self.file: int | None = None
        self.size = 0

    def open(self, path: Path) -> None:
        """What is said from now on belongs to this file."""
        self.close()
        self.path, self.size = path, 0

    def write(self, text: bytes) -> bool:
        """Keep what there is room for; False at the end of the output."""
        room = LOG_BYTES - self.size
        self.size += len(text)
        if self.path is not None and text and room > 0:
            with contextlib.suppress(OSError):  # a log is not worth a job
                if self.file is None:
                    self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                os.write(self.file, text[:room])
        return bool(text)

    def close(self) -> None:
        """Say what was left out."""
        if self.file is not None:
            with contextlib.suppress(OSError):
                if self.size > LOG_BYTES:
                    os.write(self.file, f"\n[{self.size - LOG_BYTES} bytes more were not kept]\n".encode())
            os.close(self.file)
        self.path = self.file = None
