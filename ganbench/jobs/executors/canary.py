"""The canary: notices what a job has changed of the process that the next job would find.

It covers what is process-wide and can move a number or fail a job: functions and settings that modules of torch,
numpy, Python and ganbench hold, what a few fixed computations give, flags, types, devices, hooks, threads,
streams, working directory, environment, limits, signals, children, and the data that a worker keeps between jobs (by
version counters and sums of a sample of words; a write through numpy to a few words of a large tensor can pass). It
cannot see into C libraries or closures: code of others therefore gets a process of its own.
"""

from __future__ import annotations

import gc
import locale
import os
import random
import signal
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganbench.scoring.inputs import Workplace

MODULES = (
    "builtins", "random", "math", "os", "os.path", "time", "json", "functools", "itertools", "pickle", "io",
    "numpy", "numpy.random", "numpy.linalg", "torch", "torch.nn", "torch.nn.functional", "torch.nn.init",
    "torch.autograd", "torch.optim", "torch.optim.adam", "torch.optim.sgd", "torch.special", "torch.linalg",
    "torch.fft", "torch.random", "torch._C._nn", "torch._VF",
)  # fmt: skip
CLASSES = (
    torch.Tensor, torch.nn.Module, torch.nn.Linear, torch.nn.Conv2d, torch.optim.Optimizer, torch.optim.Adam,
    torch.optim.SGD, torch.Generator,
)  # fmt: skip
OWN = ("ganbench", "baselines")
WORDS = 1 << 15  # of 8 bytes: looked at in each tensor
PLAIN = (bool, int, float, str, tuple)
_nothing = object()


class Canary:
    """What the process was like when it was made."""

    def __init__(self) -> None:
        self.spaces = {name: dict(vars(sys.modules[name])) for name in MODULES if name in sys.modules}
        self.spaces |= {f"{c.__module__}.{c.__qualname__}": dict(vars(c)) for c in CLASSES}
        self.modules = 0
        self._meet()
        self.seen = dict(state())
        self.generators = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
        self.data: dict[int, tuple[torch.Tensor, tuple[int, int]]] = {}

    def changes(self, places: Iterable[Workplace] = ()) -> list[str]:
        """Names of what is not as it was; empty for a job that left no trace. What modules loaded since is new.

        Global generators are no trace: they are set back, so that each job finds them as the first one did.
        """
        try:
            found = [*self._renamed(), *self._restated(), *self._rewritten(places)]
        except BaseException as error:  # a process in which not even this runs
            return [f"the process ({type(error).__name__})"]
        torch.set_rng_state(self.generators[0])
        np.random.set_state(self.generators[1])  # noqa: NPY002
        random.setstate(self.generators[2])
        self._meet()
        return found

    def _meet(self) -> None:
        """Remember what modules of our own hold that were not here before."""
        if len(sys.modules) != self.modules:
            self.modules = len(sys.modules)
            for name, module in list(sys.modules.items()):
                if name.partition(".")[0] in OWN and name not in self.spaces:
                    self.spaces[name] = dict(vars(module))

    def _renamed(self) -> Iterator[str]:
        for name, before in self.spaces.items():
            now = vars(sys.modules[name]) if name in sys.modules else vars(_class(name))
            if _same(now, before):
                continue
            for key, value in before.items():
                found = now.get(key, _nothing)
                if found is not value and not _lazy(key, value) and not (isinstance(value, PLAIN) and found == value):
                    yield f"{name}.{key}"
            before |= {key: value for key, value in now.items() if key not in before}

    def _restated(self) -> Iterator[str]:
        now = dict(state())
        for key, value in self.seen.items():
            if now[key] != value:
                yield key

    def _rewritten(self, places: Iterable[Workplace]) -> Iterator[str]:
        known, self.data = self.data, {}
        for place in places:
            for name, tensor, loaded in place.kept():
                mark = fingerprint(tensor)
                before = loaded if loaded is not None else known.get(id(tensor), (tensor, mark))[1]
                if mark != before:
                    yield f"the data that it shares ({name})"
                self.data[id(tensor)] = tensor, mark


def fingerprint(x: torch.Tensor) -> tuple[int, int]:
    """The count of torch's own writes to a tensor, and the sum of evenly spaced words of its memory."""
    version = 0 if x.is_inference() else x._version
    if x.device.type != "cpu" or x.layout is not torch.strided or not x.is_contiguous():
        return version, 0
    flat = x.detach().view(-1)
    size = flat.numel() * flat.element_size()
    raw = flat.view(torch.uint8).numpy()
    words = raw[: size - size % 8].view(np.int64)
    step = max(1, len(words) // WORDS)
    return version, int(words[::step].sum()) ^ int(raw[size - size % 8 :].sum())


def state() -> Iterator[tuple[str, Any]]:
    """Process-wide settings by name, and what fixed computations give."""
    yield from _computed().items()
    yield "the default type", torch.get_default_dtype()
    yield "the default device", str(torch.get_default_device())
    yield "torch's threads", (torch.get_num_threads(), torch.get_num_interop_threads())
    yield "torch's modes", (
        torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled(),
        torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda"), str(torch.get_autocast_dtype("cpu")),
        torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack(),
        torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled(),
        _or_none(getattr, torch.utils.deterministic, "fill_uninitialized_memory"),
    )  # fmt: skip
    yield "torch's precision", (torch.get_float32_matmul_precision(), *_backends())
    hooked = vars(torch.nn.modules.module) | vars(sys.modules["torch.optim.optimizer"])
    yield "torch's hooks", [len(v) for k, v in hooked.items() if k.startswith("_global_") and isinstance(v, dict)]
    yield "how numpy prints or reports", (str(np.geterr()), str(np.get_printoptions()))
    yield "the working directory", _or_none(os.getcwd)
    yield "the environment", dict(os.environ)
    yield "the import path", (list(sys.path), len(sys.meta_path), len(sys.path_hooks))
    yield "standard streams", (id(sys.stdin), id(sys.stdout), id(sys.stderr), [_or_none(_file, d) for d in (0, 1, 2)])
    yield "the recursion limit", sys.getrecursionlimit()
    yield "signal handlers", [signal.getsignal(n) for n in signal.valid_signals()]
    yield "hooks of the interpreter", (
        sys.gettrace(), sys.getprofile(), sys.excepthook, sys.displayhook, threading.excepthook, sys.unraisablehook,
        sys.getswitchinterval(), gc.isenabled(), gc.get_threshold(), locale.setlocale(locale.LC_ALL),
        any(f[0] == "error" for f in warnings.filters),
    )  # fmt: skip
    yield "threads", sorted(t.name for t in threading.enumerate() if t is not threading.main_thread())
    if hasattr(os, "fork"):
        yield from _posix()


def _posix() -> Iterator[tuple[str, Any]]:
    import resource

    names = [n for n in dir(resource) if n.startswith("RLIMIT_")]
    limits = {n: resource.getrlimit(getattr(resource, n)) for n in names}
    limits["RLIMIT_DATA"] = (0, limits["RLIMIT_DATA"][1])  # the soft one is set anew for every job
    yield "limits", limits
    mask = os.umask(0o22)
    os.umask(mask)
    yield "the umask", mask
    yield "priority", os.getpriority(os.PRIO_PROCESS, 0)
    yield "timers", [signal.getitimer(t) for t in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)]
    yield "blocked signals", signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield "group and session", (os.getpgrp(), os.getsid(0), os.getuid(), os.geteuid())
    if hasattr(os, "sched_getaffinity"):
        yield "cores", os.sched_getaffinity(0)
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    yield "children", _or_none(children.read_text)


def _computed() -> dict[str, Any]:
    """Fixed computations whose exact value is known to the process since its start."""
    rng = torch.Generator().manual_seed(5)
    x = torch.arange(12.0).view(3, 4)
    tiny, one = float(np.nextafter(0.0, 1.0)), float(len("1"))
    with torch.enable_grad():
        leaf = torch.ones(3, requires_grad=True)
        (slope,) = torch.autograd.grad((leaf * leaf).sum(), leaf)
    return {
        "what torch draws": (
            torch.randn(4, generator=rng).tolist(), torch.rand(4, generator=rng).tolist(),
            torch.randint(1000, (4,), generator=rng).tolist(), torch.randperm(8, generator=rng).tolist(),
        ),
        "what torch computes": (
            (x @ x.T).tolist(), x.mean().item(), x.sigmoid().sum().item(), torch.nn.functional.softplus(x).sum().item(),
            x.relu().sum().item(), x.exp().log().sum().item(), slope.tolist(), (torch.tensor(tiny) * 2).item(),
            torch.zeros(2).dtype, torch.empty(0).device.type,
        ),
        "what numpy draws": np.random.default_rng(5).standard_normal(4).tolist(),
        "rounding": (tiny * one, one + 2.0**-53 * one, one / 3, -one / 3),
    }  # fmt: skip


def _backends() -> Iterator[Any]:
    backends: Any = torch.backends
    for part in (backends.mkldnn, backends.mkldnn.matmul, backends.mkldnn.conv, backends.cuda.matmul, backends.cudnn):
        for name in ("enabled", "deterministic", "benchmark", "fp32_precision", "allow_tf32"):
            yield _or_none(getattr, part, name)


def _file(descriptor: int) -> int:
    return os.fstat(descriptor).st_mode  # its kind: a log of its own may follow for each job


def _or_none(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except (OSError, AttributeError, RuntimeError):
        return None


def _same(now: Any, before: dict[str, Any]) -> bool:
    """True where both hold the same objects; decided in C, which is all that most jobs need."""
    try:
        return bool(now == before)
    except Exception:  # objects that cannot be compared, as arrays: so they are not the same
        return False


def _lazy(key: str, value: Any) -> bool:
    """What a module fills in on first use: its submodules, caches and the interpreter's own notes."""
    return key.startswith("__") or value is None or (isinstance(value, types.ModuleType | int) and key.startswith("_"))


def _class(name: str) -> type:
    return next(c for c in CLASSES if f"{c.__module__}.{c.__qualname__}" == name)
