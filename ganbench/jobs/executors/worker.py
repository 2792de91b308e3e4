"""What runs inside a worker process: one call after another, each answered by one line of JSON.

Nothing heavy is imported at the top: the driver imports this module too. The driver alone writes records.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pickle
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ganbench.errors import BadConfig, GanbenchError, ImportFailed, UnknownName
from ganbench.jobs.identity import changed_since_plan
from ganbench.jobs.records import SCHEMA, Record, RunFolder, now
from ganbench.jobs.spec import Job, display_name
from ganbench.provenance import environment

if TYPE_CHECKING:
    from ganbench.scoring.inputs import Workplace

HEARTBEAT = 0.4  # seconds between two notes of progress
RECURSION = sys.getrecursionlimit()
LOST = 71  # exit code of a worker that cannot be heard any more
_place: dict[str, Workplace] = {}  # run folder -> what this worker has loaded; one entry, for it serves one run


@dataclass(frozen=True)
class Orders:
    """What every job of a run shares."""

    root: str  # the run folder, absolute: a model may change the working directory
    git: dict[str, Any]
    save_weights: bool = False
    scorer_weights: str | None = None
    threads: int = 1


def preload(jobs: bool = True) -> None:
    """Import what jobs need, and have torch fill in what it leaves to a first use; what fails, a job will report.

    No thread starts here and no device is looked for: a process that has either cannot be forked.
    """
    with contextlib.suppress(Exception):
        import ganbench.jobs.runner

        if not jobs:
            return
        import sklearn.mixture  # noqa: F401
        import torch

        import ganbench.pictures.grids  # noqa: F401

        for optimizer in (torch.optim.Adam, torch.optim.SGD):  # no step of theirs: it looks for a device
            optimizer([torch.nn.Parameter(torch.zeros(1))], lr=0.1)


def serve(channel: socket.socket, own_log: bool = False) -> NoReturn:
    """Answer each call until the driver is gone; never returns, whatever the calls do.

    An answer is {"answer": value} or {"error": text, "memory": whether it ran out}, with {"changed": [...]} where the
    call changed what later calls would see. With `own_log` it writes its output to the log itself.
    """
    own, said, exit_now = os.getpid(), json.dumps, os._exit  # a model may replace what modules hold
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides
        environment.keep_freed_memory()
        random.seed(0)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(0)
        canary: Any = None
        inbox = channel.makefile("rb")
        channel.sendall(b'{"ready": %d}\n' % own)
        while True:
            function, arguments, log = pickle.load(inbox)
            if own_log and log is not None:
                with open(log, "wb") as file:
                    for standard in (1, 2):
                        os.dup2(file.fileno(), standard)
            if canary is None and "ganbench.jobs.runner" in sys.modules:
                from ganbench.jobs.executors.canary import Canary

                canary = Canary()
            try:
                said_of_it: dict[str, Any] = {"answer": function(*arguments)}
            except BaseException as error:
                sys.setrecursionlimit(RECURSION)
                said_of_it = {"error": environment.in_one_line(error), "memory": isinstance(error, MemoryError)}
            if os.getpid() != own:  # a model forked, and this is the fork
                exit_now(0)
            sys.setrecursionlimit(RECURSION)
            changed = [] if canary is None else canary.changes(_place.values())
            if changed:
                with contextlib.suppress(OSError):
                    text = f"ganbench: this process ends with the job, which changed {', '.join(changed)}\n"
                    os.write(2, text.encode(errors="replace"))
                said_of_it["changed"] = changed
            channel.sendall(said(said_of_it).encode("ascii") + b"\n")
    except EOFError:
        exit_now(0)
    except BaseException as error:
        with contextlib.suppress(BaseException):
            os.write(2, f"ganbench: this process ends: {environment.in_one_line(error)}\n".encode())
    finally:
        exit_now(LOST if os.getpid() == own else 0)
    raise AssertionError


def serve_spawned(channel: socket.socket, driver: int, threads: int, gpu: str | None = None) -> None:
    """`serve` in an interpreter of its own, where there is no keeper to end it when its driver has gone."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    os.dup2(2, 1)  # what is printed must not spoil the driver's JSON
    threading.Thread(target=_die_with, args=(driver,), daemon=True).start()
    preload()
    serve(channel, own_log=True)


def work(job: Job, orders: Orders, attempt: int) -> dict[str, Any]:
    """Run one job; returns its record as JSON, and the environment that it names."""
    import torch

    from ganbench.jobs.runner import run_job
    from ganbench.scoring.inputs import Workplace

    torch.set_num_threads(orders.threads)
    if job.spec.device == "cpu":
        environment.limit_memory()
    run = RunFolder(Path(orders.root))
    stale = changed_since_plan(job)  # before the model, the metrics or the data are loaded
    if stale:
        reason = f"{stale}; run the same command again"
        record = Record(schema=SCHEMA, job_id=job.spec.job_id, spec=job.spec, status="failed", reason=reason)
        record.attempt, record.started_at, record.ended_at = attempt, now(), now()
        return {"record": record.to_json(), "environment": _environment()}
    folder = run.job_folder(job.spec)
    if orders.root not in _place:
        from ganbench.jobs.executors.canary import fingerprint

        _place[orders.root] = place = Workplace(run.root / "floors", scorer_weights=orders.scorer_weights)
        place.on_load = fingerprint
    found = _environment()  # before a model can change it
    note = Heartbeat(run.root / ".progress", job.spec.label)
    note(0, 0.0)
    record = run_job(
        job, _place[orders.root], folder, attempt=attempt, on_progress=note, save_weights=orders.save_weights
    )
    note.close()
    return {"record": record.to_json(), "environment": found}


@functools.cache
def _environment() -> dict[str, Any]:
    return environment.describe()


class Heartbeat:
    """Writes where a job is to a file of this process: killing a writer of files cannot jam the others' queue."""

    def __init__(self, folder: Path, label: str) -> None:
        with contextlib.suppress(OSError):
            folder.mkdir(exist_ok=True)
        self.path, self.label, self.last = folder / str(os.getpid()), label, -HEARTBEAT
        self.first: tuple[int, float] | None = None  # iteration, which a job that goes on has, and time of a first note

    def __call__(self, iteration: int, share: float) -> None:
        """Note the iteration reached and the share of the budget spent."""
        now = time.monotonic()
        if now - self.last >= HEARTBEAT:
            if iteration and self.first is None:
                self.first = iteration, now
            begun, start = self.first or (0, now)
            rate = (iteration - begun) / (now - start) if now > start else 0.0
            state = {"job": self.label, "iteration": iteration, "share": round(share, 4), "rate": round(rate, 1)}
            with contextlib.suppress(OSError):
                write_plain(self.path, json.dumps(state))
            self.last = now

    def close(self) -> None:
        """Say that the job is over."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


def write_plain(path: Path, text: str) -> None:
    """Replace a file without waiting for the disk: it only informs."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def check_configs(refs: Sequence[str], sets: Sequence[tuple[str | None, str, Any]]) -> dict[str, Any]:
    """Overrides per model reference as its config coerces them: {"configs": {...}} or {"error": message}.

    A key without a model goes to every model that has it; one that none has is an error with near matches. What a
    reference says in brackets is of it alone, and wins.
    """
    from ganbench.model.make import config_fields, resolve_config
    from ganbench.registry import MODELS
    from ganbench.registry.variants import single

    names = {ref: single(ref)[0] for ref in refs}
    fields: dict[str, dict[str, Any]] = {}
    for ref in refs:
        with contextlib.suppress(ImportFailed):  # its jobs will fail with this reason, and the others run
            fields[ref] = config_fields(names[ref])
    configs: dict[str, dict[str, Any]] = {ref: {} for ref in refs}
    try:
        for model, key, value in sets:
            targets = [r for r in fields if model is None or model in (names[r], MODELS.get(names[r]).name)]
            having = [r for r in targets if key in fields[r]]
            if not having and targets:
                where = model or (names[targets[0]] if len(targets) == 1 else "the selected models")
                raise UnknownName(f"config field of {where}", key, {k for r in targets for k in fields[r]})
            for ref in having:
                configs[ref][key] = value
        resolved = {}
        for ref, shared in configs.items():
            overrides = shared | single(ref)[1]
            for key in overrides if ref in fields else ():
                if key not in fields[ref]:
                    raise UnknownName(f"config field of {MODELS.get(names[ref]).name}", key, fields[ref])
            try:
                resolved[ref] = resolve_config(names[ref], overrides) if overrides and ref in fields else {}
            except BadConfig as error:
                raise BadConfig(f"{MODELS.get(names[ref]).name}: {error}") from None
        return {"configs": json.loads(json.dumps(resolved))}
    except GanbenchError as error:
        return {"error": str(error)}
    except TypeError as error:
        return {"error": f"a config value that JSON cannot hold: {error}"}


def check_data(refs: Sequence[str], data_dir: str | None) -> str | None:
    """Why one of these data sets cannot be used; None where all of them load."""
    from ganbench.datasets.load import load

    for ref in refs:
        try:
            load(ref, data_dir)
        except GanbenchError as error:
            return str(error)
        except Exception as error:  # somebody else's reader
            return f"{display_name(ref)} cannot be read: {type(error).__name__}: {error}"
    return None


def _die_with(driver: int) -> None:
    """End this process when its driver has gone, even by kill -9: a job must not run on behind a new driver's back."""
    while os.getppid() == driver:
        time.sleep(0.2)
    os._exit(1)
