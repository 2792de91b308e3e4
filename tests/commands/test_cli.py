"""What scripts rely on: one JSON document, exit codes, near matches, no traceback, no torch where none is needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ganbench import __version__
from ganbench.__main__ import main
from ganbench.jobs.suites import names as suite_names
from ganbench.registry import DATASETS, METRICS, MODELS

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "numpy", "pandas", "scipy", "sklearn", "matplotlib")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    out, error = capsys.readouterr()
    assert "Traceback" not in error
    return code, out, error


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["plan"], ["describe", "smoke"]]
    + [["list", kind] for kind in ("models", "datasets", "metrics", "suites", "scorers")],
)
def test_looking_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from ganbench.__main__ import main; code = main(sys.argv[1:]); "
        f"heavy = [m for m in {HEAVY} if m in sys.modules]; print(heavy, file=sys.stderr); sys.exit(code or len(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_list_json(capsys: pytest.CaptureFixture[str]) -> None:
    models = json.loads(run(capsys, "list", "models", "--json")[1])
    assert [m["name"] for m in models] == [e.name for e in MODELS]
    assert {"name", "family", "paper", "capabilities", "datasets"} <= set(models[0])
    metrics = json.loads(run(capsys, "list", "metrics", "--json")[1])
    assert [m["name"] for m in metrics] == [e.name for e in METRICS]
    assert {"name", "direction", "needs"} <= set(metrics[0])
    assert len(json.loads(run(capsys, "list", "datasets", "--json")[1])) == len(DATASETS.entries)
    assert [s["name"] for s in json.loads(run(capsys, "list", "suites", "--json")[1])] == suite_names()
    json.loads(run(capsys, "list", "scorers", "--json")[1])


def test_describe(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(capsys, "describe", "wgan_gp", "--json")[1])
    assert found["kind"] == "model"
    assert {"field": "n_critic", "default": 5, "type": "Count"} in found["config"]
    assert "n_critic" in run(capsys, "describe", "wgan_gp")[1]
    for name, kind in (("ring8", "data set"), ("mmd", "metric"), ("smoke", "suite"), ("mnist_cnn", "scorer")):
        assert json.loads(run(capsys, "describe", name, "--json")[1])["kind"] == kind
    assert json.loads(run(capsys, "describe", "tests/strange_models.py:Quick", "--json")[1])["name"] == "quick_noise"


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["rum"], "run"),
        (["run", "--seed", "3"], "--seeds"),
        (["run", "--suite", "smoky"], "smoke"),
        (["run", "-m", "wgan-gp"], "wgan_gp"),
        (["run", "-d", "rings8"], "ring8"),
        (["run", "--metrics", "mdes"], "modes"),
        (["run", "--scale", "quik"], "quick"),
        (["run", "--device", "gpu"], "cpu"),
        (["run", "-m", "tests/strange_models.py:Quik"], "Quick"),
        (["list", "model"], "models"),
        (["describe", "wgan_pg"], "wgan_gp"),
        (["score", "x.npy", "-d", "digts"], "digits"),
        (["run", "--seeds", "none"], "a count"),
        (["run", "--budget", "steps=3"], "iterations=N"),
        (["run", "--budget", "iterations=3", "--scale", "quick"], "give one"),
        (["run", "--time-limit", "soon"], "90s, 30m or 2h"),
        (["run", "--out", "pyproject.toml"], "is a file"),
        (["run", "-j", "0"], "-j"),
        (["show", "tests"], "not a run folder"),
        (["run", "-m", "nowhere.py:A"], "nowhere.py"),
        (["run", "-d", "array:nowhere.npy"], "nowhere.npy"),
        (["score", "nowhere.npy", "-d", "ring8"], "nowhere.npy"),
    ],
)
def test_mistakes_end_with_code_2_and_a_hint(
    capsys: pytest.CaptureFixture[str], arguments: list[str], near: str
) -> None:
    code, out, error = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert near in error
    code, out, _ = run(capsys, *arguments, "--json")
    assert code == 2
    assert json.loads(out)["error"]["exit_code"] == 2


def test_config_keys_are_checked_before_anything_runs(tmp_path: Path) -> None:
    def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ganbench", "run", "-d", "ring8", "--out", str(tmp_path / "r"), *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)

    done = ask("-m", "gan_ns", "-m", "gmm", "--set", "lrr=1")
    assert done.returncode == 2
    assert "unknown config field of the selected models 'lrr'; did you mean lr" in done.stderr
    done = ask("-m", "gan_ns", "--set", "lr=-1")
    assert done.returncode == 2
    assert "gan_ns: lr = -1: input should be greater than 0" in done.stderr
    assert not (tmp_path / "r").exists()
    done = ask("-m", "gan_ns", "-m", "gmm", "--set", "lr=0.0002", "--set", "gan_ns.hidden=[8]", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["total"] == 6


def test_plan_counts_what_run_runs(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(capsys, "plan", "-m", "gmm", "-m", "dcgan", "-d", "ring8", "-d", "digits", "--json")[1])
    assert found["total"] == len(found["jobs"]) == 12
    assert found["to_run"] + found["cached"] + found["skipped"] == 12
    assert {j["state"] for j in found["jobs"] if j["reason"]} <= {"skipped"}
    assert found["estimated_s"] > 0


def test_score_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    angle = np.random.default_rng(0).integers(0, 8, 400) * np.pi / 4
    np.save(tmp_path / "ring.npy", np.stack([np.cos(angle), np.sin(angle)], 1))
    arguments = ["score", str(tmp_path / "ring.npy"), "--dataset", "ring8", "--metrics", "modes"]
    found = json.loads(run(capsys, *arguments, "--json")[1])
    assert found["dataset"] == "ring8"
    assert found["n"] == 400
    values = {m["name"]: m["value"] for m in found["metrics"]}
    assert values["modes"] == 8
    assert values["modes_hq"] == 1
    assert "modes_hq" in run(capsys, *arguments)[1]


def test_missing_data_ends_with_code_5_and_says_what_to_do(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ganbench", "run", "-m", "gan_ns", "-d", "mnist", "--seeds", "1", "-j", "1"]
    command += ["--data-dir", str(tmp_path), "--out", str(tmp_path / "r"), "--budget", "iterations=1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 5
    assert "ganbench data get mnist" in done.stderr
    row = json.loads((tmp_path / "r" / "results.jsonl").read_text())
    assert row["status"] == "skipped"
    assert "ganbench data get mnist" in row["reason"]


def test_a_run_of_which_nothing_applies_ends_with_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ganbench", "run", "-m", "pixelcnn", "-d", "ring8", "--seeds", "1", "-j", "1"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "r")], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 2
    assert "no job applies: pixelcnn takes image events; ring8 holds vector events" in done.stderr


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command line of bash, in which `ganbench` is this one."""
    line = f'set -o pipefail; ganbench() {{ {sys.executable} -m ganbench "$@"; }}; {command}'
    return subprocess.run(
        ["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=100, env=os.environ | environment
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-"])
def test_a_closed_stream_is_one_that_nobody_reads(closed: str) -> None:
    done = shell(f"ganbench list scorers {closed}")
    assert (done.returncode, done.stderr) == (0, "")


def test_jobs_run_with_every_stream_closed(tmp_path: Path) -> None:
    out = tmp_path / "r"
    options = "-m gan_ns -m pixelcnn -d ring8 --seeds 1 -j 1 --metrics modes --samples 200 --budget iterations=2"
    done = shell(f"ganbench run {options} --out {out} >&- 2>&- <&-")
    assert done.returncode == 0
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == ["skipped", "ok"]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_letters_that_a_stream_lacks_are_question_marks(capsys: pytest.CaptureFixture[str], encoding: str) -> None:
    done = shell("ganbench describe wgan_gp", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert "wgan_gp" in done.stdout
    there = json.loads(shell("ganbench list models --json", PYTHONIOENCODING=encoding).stdout)
    assert there == json.loads(run(capsys, "list", "models", "--json")[1])  # nothing is lost there


@pytest.mark.parametrize("verb", ["list models --json", "--help", "plan --seeds 500"])
def test_a_reader_that_leaves_early_ends_it_quietly(verb: str) -> None:
    """As a shell reports a program that SIGPIPE ended; 0 where all had fitted into the pipe."""
    done = shell(f"ganbench {verb} | head -1; echo ${{PIPESTATUS[0]}}")
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] in ("0", "141")
    full = shell(f"ganbench {verb} >/dev/full")
    assert full.returncode == 5
    assert full.stderr == "error: No space left on device\n"


class Odd(Exception):
    def __str__(self) -> str:
        return "odd\n\x1b[31m" + "x" * 1000


@pytest.mark.parametrize("error", [Odd(), ZeroDivisionError("by zero"), RecursionError("deep"), MemoryError()])
def test_an_unforeseen_error_is_one_line_and_never_a_regression(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("ganbench.jobs.suites.names", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, out, said = run(capsys, "list", "suites", "--json")
    assert code == 5
    assert said.count("\n") == 1
    assert "\x1b" not in said
    (details,) = tmp_path.glob("ganbench-error-*.txt")
    assert details.name in said
    assert type(error).__name__ in details.read_text()
    assert json.loads(out)["error"]["exit_code"] == 5


@pytest.mark.parametrize("code", [None, "a message", 3])
def test_only_a_gate_ends_with_code_1(monkeypatch: pytest.MonkeyPatch, code: object) -> None:
    def leave(*_: object) -> None:
        sys.exit(code)  # type: ignore[arg-type]

    monkeypatch.setattr("ganbench.jobs.suites.names", leave)
    assert main(["list", "suites"]) == {None: 0, "a message": 2, 3: 3}[code]  # type: ignore[index]


@pytest.mark.parametrize("verb", [["run"], ["plan"], ["report", "x"], ["rescore", "x"]])
def test_an_empty_name_for_the_output_is_refused(capsys: pytest.CaptureFixture[str], verb: list[str]) -> None:
    code, _, error = run(capsys, *verb, "--out", "")
    assert code == 2
    assert "got an empty name" in error


def test_a_first_estimate_goes_by_budget_and_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    """dcgan on MNIST at standard took 486 s of one idle core, and 514 with scores; 22 s had been promised."""
    for budget in (["--scale", "standard"], ["--budget", "iterations=5000"]):
        found = json.loads(run(capsys, "plan", "-m", "dcgan", "-d", "mnist", *budget, "--seeds", "1", "--json")[1])
        (job,) = found["jobs"]
        assert job["estimate_from"] == "nominal"
        assert 514 / job["estimate_factor"] < job["estimated_s"] < 514 * job["estimate_factor"]
        assert 300 < job["estimated_s"] < 1000
    twice = json.loads(run(capsys, "plan", "-m", "dcgan", "-d", "mnist", "--budget", "examples=640000", "--json")[1])
    assert twice["jobs"][0]["estimated_s"] - 28 == pytest.approx(2 * (job["estimated_s"] - 28))


def test_data_and_doctor(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANBENCH_DATA", raising=False)
    assert run(capsys, "data", "path")[0] == 5
    monkeypatch.setenv("GANBENCH_DATA", str(tmp_path))
    assert json.loads(run(capsys, "data", "path", "--json")[1])["exists"]
    here = {d["name"]: d["here"] for d in json.loads(run(capsys, "data", "list", "--check", "--json")[1])}
    assert here["ring8"] is True
    assert here["mnist"] is False
    code, out, _ = run(capsys, "doctor", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["ok"]
    assert str(tmp_path) not in out


def test_a_model_from_another_package_joins_by_entry_point(tmp_path: Path) -> None:
    (tmp_path / "faraway").mkdir()
    (tmp_path / "faraway" / "__init__.py").touch()
    source = (ROOT / "tests" / "strange_models.py").read_text().replace('"quick_noise"', '"faraway_noise"')
    (tmp_path / "faraway" / "models.py").write_text(source)
    info = tmp_path / "faraway-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faraway\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ganbench.models]\nfaraway_noise = faraway.models:Quick\n")
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "ganbench", "run", "-m", "faraway_noise", "-m", "tests/strange_models.py:Quick"]
    command += ["-d", "ring8", "--metrics", "modes", "--samples", "50", "--seeds", "1", "-j", "1", "--json"]
    done = subprocess.run(
        [*command, "--budget", "iterations=1", "--out", str(tmp_path / "r")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [row["model"] for row in answer["tables"][0]["rows"]] == ["faraway_noise", "quick_noise"]
    assert answer["jobs"]["ok"] == 2
    assert {"run_dir", "jobs", "seconds"} <= set(answer)

    shown = subprocess.run(
        [sys.executable, "-m", "ganbench", "show", str(tmp_path / "r"), "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert json.loads(shown.stdout)["tables"] == answer["tables"]

    show = [sys.executable, "-m", "ganbench", "show", str(tmp_path / "r"), "--format"]
    latex = subprocess.run([*show, "tex"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert latex.stdout.count(r"\toprule") == 1
    assert r"faraway\_noise &" in latex.stdout
    unknown = subprocess.run([*show, "pdf"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "a format is one of md, csv, tex, html; got 'pdf'" in unknown.stderr

    path = next((tmp_path / "r" / "jobs").glob("quick*/result.json"))
    path.write_text(path.read_text()[:-20])
    again = subprocess.run(
        [*command, "--budget", "iterations=1", "--out", str(tmp_path / "r")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "set aside as result.json.corrupt" in again.stderr
    assert str(tmp_path / "r") not in again.stderr.split("warning:")[1].split("\n")[0]
    second = json.loads(again.stdout)
    assert second["jobs"]["cached"] == 1
    for table in (*second["tables"], *answer["tables"]):
        for row in table["rows"]:
            row.pop("train_s")
    assert second["tables"] == answer["tables"]

    other = subprocess.run(
        [*command, "--budget", "iterations=2", "--out", str(tmp_path / "r")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert other.returncode == 2
    assert 'budget: {"iterations": 1} there, {"iterations": 2} now' in other.stderr


def test_a_plan_lists_what_runs_and_only_some_of_what_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "plan", "-m", "*", "-d", "ring8", "--seeds", "1")
    assert code == 0
    skipped = [line for line in out.splitlines() if line.startswith("skipped: ")]
    assert len(skipped) == 10
    assert all("/ring8: " in line and line.endswith("(seed 0)") for line in skipped)
    assert re.search(r"and \d+ more that are skipped: --json lists all", out)
    assert re.search(r"gan_ns +ring8 .* to run", out)
