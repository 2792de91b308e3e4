"""What runs inside a worker process: one job after another, each leaving its record on disk before it is reported.

Nothing heavy is imported at the top: threads are limited before torch starts, and the driver imports this module too.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganbench import environment
from ganbench.errors import BadConfig, GanbenchError, ImportFailed, UnknownName
from ganbench.identity import changed_since_plan
from ganbench.jobs import Job, display_name
from ganbench.records import SCHEMA, Record, RunFolder

if TYPE_CHECKING:
    from ganbench.scoring import Workplace

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
HEARTBEAT = 0.4  # seconds between two notes of progress
_place: dict[str, Workplace] = {}  # run folder -> what this worker has loaded; one entry, for it serves one run


@dataclass(frozen=True)
class Orders:
    """What every job of a run shares."""

    root: str  # the run folder
    git: dict[str, Any]
    save_weights: bool = False
    scorer_weights: str | None = None
    threads: int = 1


def start(driver: int, threads: int = 1) -> None:
    """Prepare a fresh worker: few threads, deaf to Ctrl-C (the driver decides), gone when the driver is gone."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    environment.keep_freed_memory()
    os.dup2(2, 1)  # user code that prints must not spoil the driver's JSON
    threading.Thread(target=_die_with, args=(driver,), daemon=True).start()
    with contextlib.suppress(ImportError):  # reported by the first job; here, so that it counts towards no job's time
        import ganbench.runner  # noqa: F401


def work(job: Job, orders: Orders, attempt: int) -> str:
    """Run one job, write its record, return it as JSON. Raises only `OSError`, when the record cannot be written."""
    import torch

    from ganbench.runner import checkpoint_of, now, run_job
    from ganbench.scoring import Workplace

    torch.set_num_threads(orders.threads)
    run = RunFolder(Path(orders.root))
    known = run.read(job.spec)
    if known is not None and known.final:  # a worker that outlived its driver by a moment wrote it meanwhile
        return known.to_json()
    stale = changed_since_plan(job)  # before the model, the metrics or the data are loaded
    if stale:
        reason = f"{stale}; run the same command again"
        record = Record(schema=SCHEMA, job_id=job.spec.job_id, spec=job.spec, status="failed", reason=reason)
        record.attempt, record.git, record.started_at, record.ended_at = attempt, orders.git, now(), now()
        run.write(record)
        return record.to_json()
    folder = run.job_folder(job.spec)
    folder.mkdir(parents=True, exist_ok=True)
    if orders.root not in _place:
        _place[orders.root] = Workplace(run.root / "floors", scorer_weights=orders.scorer_weights)
    note = Heartbeat(run.root / ".progress", job.spec.label)
    with output_to(folder / "log.txt"):
        note(0, 0.0)
        record = run_job(
            job,
            _place[orders.root],
            folder,
            attempt=attempt,
            on_progress=note,
            save_weights=orders.save_weights,
        )
    if (
        record.error and record.error.get("errno") in NO_ROOM
    ):  # the driver must hear of it: no later job would fare better
        raise OSError(record.error["errno"], os.strerror(record.error["errno"]))
    record.git = orders.git
    record.env_ref = run.write_environment(environment.describe())
    run.write(record)
    if record.final:
        checkpoint_of(folder).unlink(missing_ok=True)
    note.close()
    return record.to_json()


class Heartbeat:
    """Writes where a job is to a file of this process: killing a writer of files cannot jam the others' queue."""

    def __init__(self, folder: Path, label: str) -> None:
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
        self.path.unlink(missing_ok=True)


def write_plain(path: Path, text: str) -> None:
    """Replace a file without waiting for the disk: it only informs."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


@contextlib.contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Send this process's stdout and stderr to a file, which is removed when nothing was said."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for descriptor in (*kept, log):
            os.close(descriptor)
        if path.stat().st_size == 0:
            path.unlink()


def check_configs(refs: Sequence[str], sets: Sequence[tuple[str | None, str, Any]]) -> dict[str, Any]:
    """Overrides per model reference as its config coerces them: {"configs": {...}} or {"error": message}.

    A key without a model goes to every model that has it; one that none has is an error with near matches.
    """
    from ganbench.make import config_fields, resolve_config
    from ganbench.registry import MODELS

    fields: dict[str, dict[str, Any]] = {}
    for ref in refs:
        with contextlib.suppress(ImportFailed):  # its jobs will fail with this reason, and the others run
            fields[ref] = config_fields(ref)
    configs: dict[str, dict[str, Any]] = {ref: {} for ref in refs}
    try:
        for model, key, value in sets:
            targets = [r for r in fields if model is None or model in (r, MODELS.get(r).name)]
            having = [r for r in targets if key in fields[r]]
            if not having and targets:
                where = model or (targets[0] if len(targets) == 1 else "the selected models")
                raise UnknownName(f"config field of {where}", key, {k for r in targets for k in fields[r]})
            for ref in having:
                configs[ref][key] = value
        resolved = {}
        for ref, overrides in configs.items():
            try:
                resolved[ref] = resolve_config(ref, overrides) if overrides else {}
            except BadConfig as error:
                raise BadConfig(f"{MODELS.get(ref).name}: {error}") from None
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
