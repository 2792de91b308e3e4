"""Scores from kept weights are those of the run; other files are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ganbench.__main__ import main
from ganbench.errors import BadInput
from ganbench.jobs.records import RunFolder
from ganbench.jobs.rescore import WEIGHTS, rescored

METRICS = "sliced_wasserstein,modes"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "kept"
    asked = ["-m", "gan_ns", "-m", "gmm", "-d", "ring8", "--seeds", "1", "--budget", "iterations=50"]
    assert main(["run", *asked, "--metrics", METRICS, "--save-weights", "-j", "1", "--out", str(out)]) == 0
    return out


def test_the_same_question_has_the_same_answer(run: Path) -> None:
    before = {r.spec.row: r for r in RunFolder.open(run).records()}
    for again in rescored(run):
        was = before[again.spec.row]
        assert [(m.name, m.value, m.signature) for m in again.metrics] == [
            (m.name, m.value, m.signature) for m in was.metrics
        ]
        assert again.job_id != was.job_id
        assert again.spec.rescored == was.job_id
        assert (again.iterations, again.timing["train_s"]) == (was.iterations, was.timing["train_s"])


def test_other_metrics_and_more_samples(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["rescore", str(run), "--metrics", "mmd", "--samples", "400", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {(m["name"], m["n"]) for r in printed["records"] for m in r["metrics"]} == {("mmd", 400)}
    assert len((run / "rescored.jsonl").read_text().splitlines()) == 2
    assert main(["rescore", str(run), "--metrics", "mdm"]) == 2
    assert "mmd" in capsys.readouterr().err


def test_weights_that_are_not_those_of_the_run_are_refused(run: Path) -> None:
    record = next(r for r in RunFolder.open(run).records() if r.spec.model == "gan_ns")
    path = RunFolder.open(run).job_folder(record.spec) / WEIGHTS
    whole = path.read_bytes()
    path.write_bytes(whole[:-4] + b"\0\0\0\1")
    try:
        with pytest.raises(BadInput, match="not the file that was written after training"):
            rescored(run)
    finally:
        path.write_bytes(whole)


def test_a_run_without_weights_says_what_to_do(run: Path, tmp_path: Path) -> None:
    asked = ["-m", "gmm", "-d", "ring8", "--seeds", "1", "--budget", "iterations=50", "--metrics", "modes", "-j", "1"]
    assert main(["run", *asked, "--out", str(tmp_path / "bare")]) == 0
    with pytest.raises(BadInput, match="--save-weights"):
        rescored(tmp_path / "bare")
