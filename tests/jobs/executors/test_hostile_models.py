"""Whatever a model does, it has one row with a reason, those behind it have the bits they always have, nothing is left.

Behind each hostile model stand `gan_ns` and `gmm` with a seed of their own, in one run of two workers.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganbench.jobs.executors import keeper, local, worker
from ganbench.jobs.executors.canary import Canary, fingerprint
from ganbench.jobs.plan import Selection, plan
from ganbench.jobs.records import Record, RecordWarning, RunFolder
from ganbench.jobs.runner import run_job
from ganbench.jobs.spec import Job
from ganbench.scoring.inputs import Workplace

FILE = Path(__file__).parent / "hostile_models.py"
LIMIT = 20.0  # seconds for a job, on a busy machine
# class -> status, and what its reason says
ALL = {
    "Keyboard": ("failed", "train: KeyboardInterrupt"),
    "SystemExits": ("failed", "train: SystemExit: 0"),
    "GeneratorExits": ("failed", "train: GeneratorExit"),
    "OwnBaseException": ("failed", "train: OwnEnd: "),
    "UnspeakableError": ("failed", "cannot be read"),
    "Unpicklable": ("failed", "train: ValueError"),
    "NoSpace": ("failed", "train: OSError: .*No space"),
    "ExitZero": ("failed", "exit code 0 "),
    "ExitThree": ("failed", "exit code 3 "),
    "Segfault": ("failed", "signal 11"),
    "Aborts": ("failed", "signal 6"),
    "KillsItself": ("failed", "signal 9"),
    "TerminatesGroup": ("failed", "signal 15"),
    "KillsParent": ("failed", "signal 9"),
    "InterruptsItself": ("failed", "train: KeyboardInterrupt"),
    "AlarmLater": ("ok|failed", "signal 14|None"),
    "StopsItself": ("timeout", "limit for one job"),
    "HangsDeaf": ("timeout", "limit for one job"),
    "Recursion": ("failed", "RecursionError"),
    "RecursionUnlimited": ("ok|failed", "signal 11|None"),
    "RecursionNone": ("ok|failed", "RecursionError|None"),
    "Chdir": ("ok", "None"),
    "PatchesRandn": ("ok|failed", ""),
    "DefaultDtype": ("ok|failed", ""),
    "DefaultDevice": ("ok|failed", ""),
    "Flags": ("ok", "None"),
    "PatchesJson": ("ok|failed", ""),
    "ZeroesData": ("ok", "None"),
    "ClosesDescriptors": ("failed", "closed its descriptors|exit code"),
    "WritesEverywhere": ("ok|failed", ""),
    "NoFileSize": ("failed", "File too large|exit code|cannot answer"),
    "NoFiles": ("failed", "Too many open files|exit code|cannot answer"),
    "NoAddressSpace": ("oom|failed", ""),
    "AsksForTooMuch": ("oom", "allocate memory"),
    "Grows": ("oom", "out of memory"),
    "LeavesThread": ("ok", "None"),
    "LeavesFork": ("ok", "None"),
    "ForksAndGoesOn": ("ok", "None"),
    "LeavesProgram": ("ok", "None"),
    "LeavesSemaphores": ("failed", "signal 9"),
    "RemovesRun": ("ok|failed", ""),
    "ReplacesStreams": ("ok", "None"),
    "ExitHandlers": ("ok", "None"),
    "EndlessOutput": ("timeout", "limit for one job"),
    "ClearsEnvironment": ("ok|failed", ""),
}
FEW = (
    "Keyboard", "ExitZero", "KillsParent", "PatchesRandn", "ClosesDescriptors", "AsksForTooMuch", "LeavesFork",
    "RemovesRun",
)  # fmt: skip


class Quiet:
    def finished(self, record: Record, cached: bool) -> None: ...

    def tick(self, running: list[dict[str, Any]]) -> None: ...


def jobs_of(model: str, seed: int) -> Job:
    chosen = Selection("smoke", (model,), ("ring8",), (seed,), "smoke", ("modes",), 200, budget={"iterations": 3})
    return plan(chosen)[0]


def marked(mark: str) -> list[str]:
    """Command lines of processes that stand below the run, wherever they have gone."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(path.with_name("cmdline").read_text())
        except OSError:
            continue
    return found


Trial = tuple[dict[str, Record], dict[str, list[Record]], list[str], int, Path]


def trial(names: tuple[str, ...], root: Path) -> Trial:
    """Run these models with two others behind each; their records, those of the others, and what was left."""
    jobs, mark = [], uuid.uuid4().hex
    for seed, name in enumerate(names):
        jobs += [jobs_of(f"{FILE}:{name}", 0), jobs_of("gan_ns", seed), jobs_of("gmm", seed)]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordWarning)  # of the index, which a model removes
        patch.setenv("HOSTILE_RUN", str(root / "r"))
        patch.setenv("HOSTILE_MARK", mark)
        with RunFolder.create(root / "r", {"suite": "hostile"}) as folder:
            folder.set_plan(jobs)
            outcome = local.run(jobs, folder, Quiet(), workers=2, job_timeout=lambda job: LIMIT)
            listed = folder.records()
    assert len(outcome.records) == len(listed) == len(jobs)  # one row each, on disk too
    time.sleep(1)
    left = marked(mark) + [name for name in os.listdir("/dev/shm") if mark in name]  # processes, semaphores
    rows = {r.job_id: r for r in listed}
    mine = {name: rows[jobs[3 * i].spec.job_id] for i, name in enumerate(names)}
    others = {name: [rows[j.spec.job_id] for j in jobs[3 * i + 1 : 3 * i + 3]] for i, name in enumerate(names)}
    lines = len((root / "r" / "results.jsonl").read_text().splitlines())
    return mine, others, left, lines, root / "r"


@pytest.fixture(scope="module")
def place() -> Iterator[Workplace]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in workers: sums depend on it
    yield Workplace()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return trial(FEW, tmp_path_factory.mktemp("few"))


@pytest.fixture(scope="module")
def everyone(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return trial(tuple(ALL), tmp_path_factory.mktemp("all"))


def values(record: Record) -> list[tuple[str, float]]:
    return [(m.name, m.value) for m in record.metrics]


def check(found: Trial, name: str, place: Workplace, seed: int) -> None:
    record, (status, reason) = found[0][name], ALL[name]
    assert re.fullmatch(status, record.status), record.reason
    assert re.search(reason, str(record.reason)), record.reason
    for other in found[1][name]:
        assert other.status == "ok", other.reason
        alone = run_job(jobs_of(other.spec.model, seed), place)
        assert values(other) == values(alone)


@pytest.mark.parametrize("name", FEW)
def test_a_hostile_model_has_one_row_and_the_others_their_bits(few: Trial, name: str, place: Workplace) -> None:
    check(few, name, place, FEW.index(name))


def test_nothing_is_left_of_a_run(few: Trial) -> None:
    _, _, left, lines, root = few
    assert left == []
    assert lines == 3 * len(FEW)
    assert (root / "run.json").is_file()  # though a model had removed it


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_every_hostile_model_has_one_row_and_the_others_their_bits(
    everyone: Trial, name: str, place: Workplace
) -> None:
    check(everyone, name, place, list(ALL).index(name))


@pytest.mark.slow
def test_nothing_is_left_of_a_run_of_all(everyone: Trial) -> None:
    _, _, left, lines, root = everyone
    assert left == []
    assert lines == 3 * len(ALL)
    logs = list((root / "jobs").glob("endless_output-*/log.txt"))
    assert all(p.stat().st_size < keeper.LOG_BYTES + 100 for p in logs)


@pytest.mark.slow
def test_nothing_outlives_a_driver_that_is_killed(tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", "ganbench", "run", "-d", "ring8", "--seeds", "1", "--budget", "iterations=3"]
    command += ["-m", f"{FILE}:LeavesForkAndHangs", "-j", "1", "--out", str(tmp_path / "r")]
    driver = subprocess.Popen(
        command, env=os.environ | {"HOSTILE_MARK": mark, "HOSTILE_RUN": str(tmp_path / "r")}, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 120
    while not (tmp_path / "r" / "forked").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert len(marked(mark)) >= 5  # driver, template, keeper, worker, fork
    driver.kill()
    driver.wait()
    end = time.monotonic() + 10  # it takes milliseconds on an idle machine
    while marked(mark) and time.monotonic() < end:
        time.sleep(0.1)
    assert marked(mark) == []


@pytest.mark.slow
def test_where_there_is_no_keeper_rows_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganbench.jobs.executors.process.HAS_KEEPER", False)
    jobs = [jobs_of(f"{FILE}:ExitZero", 0), jobs_of(f"{FILE}:StopsItself", 0), jobs_of(f"{FILE}:Chdir", 0)]
    with RunFolder.create(tmp_path / "r", {"suite": "hostile"}) as folder:
        outcome = local.run(jobs, folder, Quiet(), workers=1, job_timeout=lambda job: LIMIT)
    found = {r.spec.model: r.status for r in outcome.records}
    assert found == {"exit_zero": "failed", "stops_itself": "timeout", "chdir": "ok"}


def test_what_is_loaded_before_a_fork_looks_for_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has asked for CUDA devices cannot be forked by one that is to use them."""
    asked = []
    for name in ("is_available", "device_count", "current_device", "_lazy_init"):
        monkeypatch.setattr(torch.cuda, name, lambda *_, name=name: asked.append(name))
    worker.preload()
    assert asked == []


def test_only_code_of_others_counts_as_foreign() -> None:
    assert local.foreign(jobs_of("gan_ns", 0)) == ()
    assert local.foreign(jobs_of(f"{FILE}:Chdir", 0)) == (f"{FILE}:Chdir",)
    assert local.foreign(Job(jobs_of("gan_ns", 0).spec, "gan_ns", "tests/data.py:Mine")) == ("tests/data.py:Mine",)


CHANGES = {
    "torch.randn": lambda patch: patch.setattr(torch, "randn", torch.rand),
    "torch.nn.functional.relu": lambda patch: patch.setattr(torch.nn.functional, "relu", torch.sigmoid),
    "ganbench.engine.loop.CHUNK": lambda patch: patch.setattr("ganbench.engine.loop.CHUNK", 3),
    "the environment": lambda patch: patch.setenv("GANBENCH_CANARY", "1"),
    "the working directory": lambda patch: patch.chdir("/"),
    "the import path": lambda patch: patch.syspath_prepend("/"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_canary_names_what_changed(name: str) -> None:
    canary = Canary()
    assert canary.changes() == []
    with pytest.MonkeyPatch.context() as patch:
        CHANGES[name](patch)
        assert name in canary.changes()
    assert canary.changes() == []


def test_the_canary_sees_types_and_what_they_change() -> None:
    canary = Canary()
    torch.set_default_dtype(torch.float64)
    try:
        found = canary.changes()
    finally:
        torch.set_default_dtype(torch.float32)
    assert {"the default type", "what torch computes"} <= set(found)
    assert canary.changes() == []


def test_the_canary_sets_global_generators_back() -> None:
    canary = Canary()
    first = torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()  # noqa: NPY002
    assert canary.changes() == []
    assert (torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()) == first  # noqa: NPY002


@pytest.mark.parametrize("how", ["in place", "by numpy", "by .data"])
def test_the_canary_sees_writes_to_data_that_jobs_share(how: str) -> None:
    place = Workplace()
    place.on_load = fingerprint
    data = place.dataset("digits")
    canary = Canary()  # after the imports that loading took
    assert canary.changes([place]) == []
    x = data.train.x
    if how == "in place":
        x[7] = x[8]
    elif how == "by numpy":
        x.numpy()[7] += 1
    else:
        x.data.add_(0.5)
    assert canary.changes([place]) == ["the data that it shares (train of digits)"]


def test_the_canary_is_cheap() -> None:
    """Below 5 ms a job on ordinary data; three times that here, for machines that do other things at once."""
    place = Workplace()
    place.on_load = fingerprint
    for ref in ("digits", "ring8"):
        place.dataset(ref)
    canary, taken = Canary(), []
    for _ in range(15):
        start = time.process_time()
        canary.changes([place])
        taken.append(time.process_time() - start)
    assert sorted(taken)[7] < 0.015
