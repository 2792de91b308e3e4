"""Models that do to their process, and to those around it, what no model should: one way each."""

from __future__ import annotations

import atexit
import builtins
import contextlib
import ctypes
import json
import multiprocessing
import multiprocessing.synchronize
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import torch

from ganbench.data import DataSpec, Split
from ganbench.model import Budget, Model, register

SLEEP = [sys.executable, "-c", "import time; time.sleep(1000)"]


def shared(mark: str) -> list[str]:
    """Semaphores of that mark that the system holds."""
    return [name for name in os.listdir("/dev/shm") if mark in name]


class Hostile(Model):
    """Draws a Gaussian, once it has done its deed."""

    def build(self, spec: DataSpec) -> None:
        self.shape = spec.event_shape

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        self.deed(data)

    def sample(self, n: int, rng: torch.Generator) -> torch.Tensor:
        return torch.empty(n, *self.shape).normal_(generator=rng)

    def deed(self, data: Split) -> None:
        raise NotImplementedError


class OwnEnd(BaseException):
    pass


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise OwnEnd


@register("keyboard", family="test")
class Keyboard(Hostile):
    def deed(self, data: Split) -> None:
        raise KeyboardInterrupt


@register("system_exit", family="test")
class SystemExits(Hostile):
    def deed(self, data: Split) -> None:
        sys.exit(0)


@register("generator_exit", family="test")
class GeneratorExits(Hostile):
    def deed(self, data: Split) -> None:
        raise GeneratorExit


@register("own_base_exception", family="test")
class OwnBaseException(Hostile):
    def deed(self, data: Split) -> None:
        raise OwnEnd("\ud800 \x1b[2J end")


@register("unspeakable", family="test")
class UnspeakableError(Hostile):
    def deed(self, data: Split) -> None:
        raise Unspeakable


@register("unpicklable", family="test")
class Unpicklable(Hostile):
    def deed(self, data: Split) -> None:
        raise ValueError(lambda: None, threading.Lock())


@register("no_space", family="test")
class NoSpace(Hostile):
    def deed(self, data: Split) -> None:
        raise OSError(28, "No space left on device")


@register("exit_zero", family="test")
class ExitZero(Hostile):
    def deed(self, data: Split) -> None:
        os._exit(0)


@register("exit_three", family="test")
class ExitThree(Hostile):
    def deed(self, data: Split) -> None:
        os._exit(3)


@register("segfault", family="test")
class Segfault(Hostile):
    def deed(self, data: Split) -> None:
        ctypes.string_at(0)


@register("aborts", family="test")
class Aborts(Hostile):
    def deed(self, data: Split) -> None:
        os.abort()


@register("kills_itself", family="test")
class KillsItself(Hostile):
    def deed(self, data: Split) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@register("terminates_group", family="test")
class TerminatesGroup(Hostile):
    def deed(self, data: Split) -> None:
        os.killpg(os.getpgrp(), signal.SIGTERM)


@register("kills_parent", family="test")
class KillsParent(Hostile):
    def deed(self, data: Split) -> None:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(1000)


@register("interrupts_itself", family="test")
class InterruptsItself(Hostile):
    def deed(self, data: Split) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGINT)


@register("alarm_later", family="test")
class AlarmLater(Hostile):
    def deed(self, data: Split) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.7)


@register("stops_itself", family="test")
class StopsItself(Hostile):
    def deed(self, data: Split) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)


@register("hangs_deaf", family="test")
class HangsDeaf(Hostile):
    def deed(self, data: Split) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            time.sleep(1000)


@register("recursion", family="test")
class Recursion(Hostile):
    def deed(self, data: Split) -> None:
        self.deed(data)


@register("recursion_unlimited", family="test")
class RecursionUnlimited(Hostile):
    def deed(self, data: Split) -> None:
        sys.setrecursionlimit(1 << 30)
        value: object = None
        for _ in range(1 << 20):
            value = [value]
        repr(value)


@register("recursion_none", family="test")
class RecursionNone(Hostile):
    def deed(self, data: Split) -> None:
        sys.setrecursionlimit(40)


@register("chdir", family="test")
class Chdir(Hostile):
    def deed(self, data: Split) -> None:
        os.chdir("/")


@register("patches_randn", family="test")
class PatchesRandn(Hostile):
    def deed(self, data: Split) -> None:
        torch.randn = lambda *shape, **_: torch.zeros(shape)  # type: ignore[assignment]
        np.random.default_rng = lambda *_: None  # type: ignore[assignment]
        random.random = lambda: 0.5


@register("default_dtype", family="test")
class DefaultDtype(Hostile):
    def deed(self, data: Split) -> None:
        torch.set_default_dtype(torch.float64)


@register("default_device", family="test")
class DefaultDevice(Hostile):
    def deed(self, data: Split) -> None:
        torch.set_default_device("meta")


@register("flags", family="test")
class Flags(Hostile):
    def deed(self, data: Split) -> None:
        torch.set_grad_enabled(False)
        torch.set_num_threads(3)
        torch.use_deterministic_algorithms(True)
        torch.set_flush_denormal(True)
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002


@register("patches_json", family="test")
class PatchesJson(Hostile):
    def deed(self, data: Split) -> None:
        json.dumps = lambda *_, **__: "{}"  # type: ignore[assignment]
        builtins.print = lambda *_, **__: 1 / 0  # type: ignore[assignment]


@register("zeroes_data", family="test")
class ZeroesData(Hostile):
    def deed(self, data: Split) -> None:
        data.x.numpy()[:] = 0


@register("closes_descriptors", family="test")
class ClosesDescriptors(Hostile):
    def deed(self, data: Split) -> None:
        os.closerange(0, 1000)


@register("writes_everywhere", family="test")
class WritesEverywhere(Hostile):
    def deed(self, data: Split) -> None:
        for descriptor in range(200):
            with contextlib.suppress(OSError):
                os.write(descriptor, b'\x7fjunk{}\n[]\n{"answer": 3}\n')


@register("no_file_size", family="test")
class NoFileSize(Hostile):
    def deed(self, data: Split) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@register("no_files", family="test")
class NoFiles(Hostile):
    def deed(self, data: Split) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


@register("no_address_space", family="test")
class NoAddressSpace(Hostile):
    def deed(self, data: Split) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))
        torch.ones(1 << 24)


@register("asks_for_too_much", family="test")
class AsksForTooMuch(Hostile):
    def deed(self, data: Split) -> None:
        torch.empty(1 << 44)


@register("grows", family="test")
class Grows(Hostile):
    def deed(self, data: Split) -> None:
        now = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, now))  # a small machine
        kept = []
        while True:
            kept.append(bytearray(1 << 24))


@register("leaves_thread", family="test")
class LeavesThread(Hostile):
    def deed(self, data: Split) -> None:
        threading.Thread(target=time.sleep, args=(1000,)).start()


@register("leaves_fork", family="test")
class LeavesFork(Hostile):
    def deed(self, data: Split) -> None:
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(1000)
            os._exit(0)


@register("leaves_fork_and_hangs", family="test")
class LeavesForkAndHangs(LeavesFork):
    def deed(self, data: Split) -> None:
        super().deed(data)
        open(os.path.join(os.environ["HOSTILE_RUN"], "forked"), "w").close()
        time.sleep(1000)


@register("forks_and_goes_on", family="test")
class ForksAndGoesOn(Hostile):
    def deed(self, data: Split) -> None:
        os.fork()


@register("leaves_program", family="test")
class LeavesProgram(Hostile):
    def deed(self, data: Split) -> None:
        subprocess.Popen(SLEEP, start_new_session=True)


@register("leaves_semaphores", family="test")
class LeavesSemaphores(Hostile):
    def deed(self, data: Split) -> None:
        name = f"/{os.environ['HOSTILE_MARK']}-{os.getpid()}"
        multiprocessing.synchronize.SemLock._make_name = staticmethod(lambda: name)  # type: ignore[attr-defined]
        self.lock = multiprocessing.get_context("spawn").Lock()
        assert shared(os.environ["HOSTILE_MARK"])
        os.kill(os.getpid(), signal.SIGKILL)


@register("removes_run", family="test")
class RemovesRun(Hostile):
    def deed(self, data: Split) -> None:
        shutil.rmtree(os.environ["HOSTILE_RUN"], ignore_errors=True)


@register("replaces_streams", family="test")
class ReplacesStreams(Hostile):
    def deed(self, data: Split) -> None:
        sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = object()  # type: ignore[assignment,misc]


@register("exit_handlers", family="test")
class ExitHandlers(Hostile):
    def deed(self, data: Split) -> None:
        atexit.register(time.sleep, 1000)


@register("endless_output", family="test")
class EndlessOutput(Hostile):
    def deed(self, data: Split) -> None:
        while True:
            os.write(1, b"chatter " * 1000)


@register("clears_environment", family="test")
class ClearsEnvironment(Hostile):
    def deed(self, data: Split) -> None:
        os.environ.clear()
        os.umask(0o777)
        sys.path.clear()
