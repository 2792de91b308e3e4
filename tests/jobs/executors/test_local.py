"""The pool outlives what jobs do to it; what is on disk is whole after any kill; workers do not change numbers."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from ganbench.jobs.records import RunFolder

ROOT = Path(__file__).resolve().parents[3]
MODELS = "tests/strange_models.py"
TINY = ["--suite", "smoke", "-d", "ring8", "--metrics", "modes", "--samples", "200", "--budget", "iterations=3"]


def ganbench(*arguments: str, timeout: float = 110) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ganbench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def values(run: Path) -> dict[str, list[tuple[str, float]]]:
    """Metric values by job id."""
    return {r.job_id: [(m.name, m.value) for m in r.metrics] for r in RunFolder.open(run).records()}


def test_hostile_models_are_rows_and_the_others_run(tmp_path: Path) -> None:
    names = ("Raises", "Hangs", "NaNSamples", "NaNLoss", "WrongShape", "Exits", "Prints", "Quick")
    chosen = [part for name in names for part in ("-m", f"{MODELS}:{name}")]
    done = ganbench(
        "run", *TINY, *chosen, "--seeds", "1", "-j", "2", "--job-timeout", "8s", "--out", str(tmp_path / "r"), "--json"
    )
    assert done.returncode == 3, done.stderr
    answer = json.loads(done.stdout)
    records = {r.spec.model: r for r in RunFolder.open(tmp_path / "r").records()}
    found = {name: (r.status, r.reason) for name, r in records.items()}
    assert found["raises"] == ("failed", "train: RuntimeError: the sky is falling")
    assert found["hangs"] == ("timeout", "stopped after 8 s, the limit for one job (--job-timeout)")
    assert found["nan_samples"][0] == "failed"
    assert found["nan_samples"][1] == "sample: samples must be finite; 1 of 200 hold NaN or infinity, the first is 100"
    assert found["nan_loss"][0] == "diverged"
    assert "loss is nan at iteration 0" in found["nan_loss"][1]
    assert found["wrong_shape"][1] == "sample: sample(200, rng) must return shape (200, 2); got (200, 1)"
    assert found["exits"] == ("failed", "the worker ended with exit code 7 in the middle of the job")
    assert found["prints"][0] == found["quick_noise"][0] == "ok"
    assert answer["jobs"]["total"] == 8
    assert {k: answer["jobs"][k] for k in ("ok", "failed", "diverged", "timeout")} == {
        "ok": 2,
        "failed": 4,
        "diverged": 1,
        "timeout": 1,
    }
    log = next((tmp_path / "r" / "jobs").glob("prints-*/log.txt"))
    assert log.read_text() == "chatter on stdout\n"
    assert records["raises"].error is not None
    assert records["raises"].error["traceback"][-1].startswith("strange_models.py:")
    everything = "".join(p.read_text() for p in (tmp_path / "r").rglob("*.json*"))
    assert str(ROOT) not in everything
    assert str(tmp_path) not in everything

    again = ganbench(
        "run",
        *TINY,
        *chosen,
        "--seeds",
        "1",
        "-j",
        "2",
        "--job-timeout",
        "8s",
        "--out",
        str(tmp_path / "r"),
        "--dry-run",
    )
    assert again.stdout.count("cached") == 3  # ok and diverged stand; the others would be tried again


def test_killed_at_any_moment_it_goes_on_to_the_same_table(tmp_path: Path) -> None:
    chosen = ["-m", f"{MODELS}:Slow", "-m", f"{MODELS}:Quick", "--seeds", "4", "-j", "2"]
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    assert ganbench("run", *TINY, *chosen, "--out", str(whole)).returncode == 0
    command = [sys.executable, "-m", "ganbench", "run", *TINY, *chosen, "--out", str(torn), "--json"]
    draw, kills = random.Random(4), 0
    for _ in range(5):
        driver = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.3, 5.0))
        kills += driver.poll() is None
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    assert kills
    last = ganbench(*command[3:])
    assert last.returncode == 0, last.stderr
    assert values(torn) == values(whole)
    tables = json.loads((torn / "summary.json").read_text())["tables"]
    expected = json.loads((whole / "summary.json").read_text())["tables"]
    for table in [*tables, *expected]:
        for row in table["rows"]:
            row.pop("train_s")
    assert tables == expected
    lines = (torn / "results.jsonl").read_text().splitlines()
    ids = [json.loads(line)["job_id"] for line in lines]
    assert len(ids) == len(set(ids)) == 8  # no job ran twice to completion
    assert not list(torn.rglob("attempt-*.json"))
    assert not list(torn.rglob(".*.tmp"))


def test_one_worker_and_two_give_the_same_numbers(tmp_path: Path) -> None:
    arguments = ["run", "-m", "gan_ns", "-m", "gaussian_mle", "-d", "ring8", "--seeds", "2", "--samples", "300"]
    arguments += ["--metrics", "modes,sliced_wasserstein", "--budget", "iterations=20"]
    for workers in ("1", "2"):
        assert ganbench(*arguments, "-j", workers, "--out", str(tmp_path / workers)).returncode == 0
    assert values(tmp_path / "1") == values(tmp_path / "2")
    assert len(values(tmp_path / "1")) == 4


def test_interrupt_stops_at_once_and_can_be_resumed(tmp_path: Path) -> None:
    arguments = ["run", *TINY, "-m", f"{MODELS}:Hangs", "-m", f"{MODELS}:Quick", "--seeds", "2", "-j", "1"]
    arguments += ["--out", str(tmp_path / "r")]
    command = [sys.executable, "-m", "ganbench", *arguments, "--json"]
    # A shell's background jobs ignore Ctrl-C and hand that down; a run at a prompt does not.
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    driver = subprocess.Popen(command, cwd=ROOT, preexec_fn=listen, **pipes)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "r").glob(".progress/*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    driver.send_signal(signal.SIGINT)
    out, error = driver.communicate(timeout=30)
    assert driver.returncode == 130, error
    answer = json.loads(out)
    assert answer["interrupted"]
    assert answer["jobs"]["pending"] == 4
    assert not (tmp_path / "r" / ".progress").exists()


def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    arguments = ["run", *TINY, "-m", f"{MODELS}:Hangs", "-m", f"{MODELS}:Quick", "--seeds", "1", "-j", "1"]
    command = [sys.executable, "-m", "ganbench", *arguments, "--out", str(tmp_path / "r")]
    driver = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    beats: list[Path] = []
    while not beats and time.monotonic() < deadline:
        beats = list((tmp_path / "r").glob(".progress/[0-9]*"))
        time.sleep(0.1)
    os.kill(int(beats[0].name), signal.SIGKILL)
    driver.communicate(timeout=60)
    assert driver.returncode == 3
    found = {r.spec.model: (r.status, r.reason) for r in RunFolder.open(tmp_path / "r").records()}
    assert found["hangs"][0] == "failed"
    assert "killed by signal 9" in str(found["hangs"][1])
    assert found["quick_noise"][0] == "ok"


def test_a_training_killed_in_the_middle_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["run", *TINY, "-m", f"{MODELS}:KilledOnce", "--seeds", "1", "-j", "1", "--budget", "iterations=15"]
    turns = tmp_path / "turns"
    monkeypatch.setenv("TURNS", str(turns))
    torn = ganbench(*arguments, "--out", str(tmp_path / "torn"))
    assert torn.returncode == 3, torn.stderr
    assert "killed by signal 9" in torn.stderr
    assert list((tmp_path / "torn").rglob("checkpoint.safetensors"))
    assert ganbench(*arguments, "--out", str(tmp_path / "torn")).returncode == 0
    assert turns.stat().st_size == 16  # nine turns that were saved, the one that was killed, and the six left
    assert not list((tmp_path / "torn").rglob("checkpoint.safetensors"))
    (record,) = RunFolder.open(tmp_path / "torn").records()
    assert (record.attempt, record.timing["train_legs"]) == (2, 2)
    assert ganbench(*arguments, "--out", str(tmp_path / "whole")).returncode == 0
    assert values(tmp_path / "torn") == values(tmp_path / "whole")


def test_a_full_disk_stops_the_run_with_earlier_records_whole(tmp_path: Path) -> None:
    """Files of more than 2,000 bytes cannot be written here: run.json can, records cannot."""
    arguments = ["run", *TINY, "-m", f"{MODELS}:Quick", "--seeds", "2", "-j", "1", "--out", str(tmp_path / "r")]
    assert ganbench(*arguments).returncode == 0
    before = values(tmp_path / "r")
    shutil.rmtree(next((tmp_path / "r" / "jobs").glob("*-s1-*")))

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))

    (tmp_path / "r" / "results.jsonl").unlink()
    code = "import sys; from ganbench.jobs.records import RunFolder; RunFolder.rebuild_index = lambda s: None; "
    code += "from ganbench.__main__ import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        preexec_fn=limit,
    )
    assert done.returncode == 5, done.stderr
    assert "error: cannot write to 'r': File too large; 1 records are whole; free some space" in done.stderr
    assert ganbench(*arguments).returncode == 0
    assert values(tmp_path / "r") == before


@pytest.mark.parametrize(("asked", "threads"), [((), 1), (("--threads", "2"), 2)])
def test_workers_have_the_threads_they_are_given_and_records_say_so(
    tmp_path: Path, asked: tuple[str, ...], threads: int
) -> None:
    out = tmp_path / "r"
    done = ganbench("run", *TINY, "-m", "gan_ns", "--seeds", "1", *asked, "--out", str(out))
    assert done.returncode == 0, done.stderr
    folder = RunFolder.open(out)
    (record,) = folder.records()
    assert record.determinism["threads"] == threads
    environment = json.loads((out / "env.json").read_text())
    assert environment["variables"]["OMP_NUM_THREADS"] == str(threads)
