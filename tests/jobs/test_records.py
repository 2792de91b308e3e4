"""Records are strict JSON, whole or absent; the corrupt are set aside; a folder belongs to one run and one writer."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ganbench.errors import BadConfig, BadInput
from ganbench.files import finite, write_atomic
from ganbench.jobs import records
from ganbench.jobs.records import MetricRow, Record, RecordWarning, RunFolder, parse_record
from ganbench.jobs.spec import Job, JobSpec

ASKED = {"suite": "s", "models": ["m"], "seeds": [0]}


def make(seed: int = 0, status: Any = "ok", value: float = 1.5, **more: Any) -> Record:
    spec = JobSpec(
        model="m/../x", dataset="d", scale="smoke", budget={"iterations": 5}, seed=seed, metrics=("a",), n_samples=10
    )
    row = MetricRow(name="a", value=value, n=10, signature="a|v1", direction="min")
    return Record(schema=records.SCHEMA, job_id=spec.job_id, spec=spec, status=status, metrics=[row], **more)


def test_keys_of_the_schema() -> None:
    raw = json.loads(make().to_json())
    assert {"schema", "job_id", "status", "reason", "spec", "metrics", "timing", "env_ref"} <= set(raw)
    assert raw["schema"] == "ganbench.result/1"
    assert {"model", "dataset", "scale", "seed"} <= set(raw["spec"])
    assert {"name", "value", "se", "n", "signature", "direction"} <= set(raw["metrics"][0])


def test_round_trip_keeps_fields_of_later_versions() -> None:
    raw = json.loads(make().to_json())
    raw["weather"] = {"by": "someone"}
    raw["metrics"][0]["unit"] = "nats"
    again = json.loads(parse_record(json.dumps(raw)).to_json())
    assert again == raw


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_numbers_never_enter_a_record(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        make(value=value)
    assert finite({"a": [value, 1.0], "b": (2, value)}) == {"a": [None, 1.0], "b": [2, None]}
    text = make().to_json().replace("1.5", "NaN")
    with pytest.raises(BadInput, match="NaN is not JSON"):
        parse_record(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a record"),
        ("[]", "no schema"),
        ("{}", "no schema"),
        ("[" * 5000, "not a record"),
        (make().to_json()[:-40], "not a record"),
        (make().to_json().replace("result/1", "result/2"), "this version reads"),
        (make().to_json().replace('"seed": 0', '"seed": 1'), "edited"),
        (make().to_json().replace('"status": "ok"', '"status": "fine"'), "status"),
    ],
)
def test_what_is_no_record_says_why(text: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        parse_record(text)


def test_write_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_atomic(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, "new and longer")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_records_come_back_in_the_order_of_the_plan(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "r", ASKED) as folder:
        rows = [make(seed) for seed in (2, 0, 1)]
        for row in rows:
            folder.write(row)
            folder.append(row)
        folder.set_plan([Job(make(seed).spec, "m", "d") for seed in (0, 1, 2)])
    assert [r.spec.seed for r in RunFolder.open(tmp_path / "r").records()] == [0, 1, 2]
    assert all(p.parent.parent.name == "jobs" for p in tmp_path.rglob("result.json"))  # names never become paths


def test_a_failed_attempt_stays_beside_the_next(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "r", ASKED) as folder:
        folder.write(make(status="failed", reason="x"))
        folder.write(make(attempt=2))
        assert folder.read(make().spec) == make(attempt=2)
        assert (folder.job_folder(make().spec) / "attempt-1.json").is_file()


@pytest.mark.parametrize("damage", ["torn", "behind", "foreign", "gone"])
def test_the_index_is_rebuilt_from_the_records(tmp_path: Path, damage: str) -> None:
    root = tmp_path / "r"
    with RunFolder.create(root, ASKED) as folder:
        for seed in (0, 1):
            folder.write(make(seed, ended_at=str(seed)))
            folder.append(make(seed, ended_at=str(seed)))
    index = root / "results.jsonl"
    whole = index.read_bytes()
    changed = {"torn": whole[:-30], "behind": whole.split(b"\n")[0] + b"\n", "foreign": whole + b"what?\n", "gone": b""}
    index.write_bytes(changed[damage])
    if damage == "gone":
        index.unlink()
        RunFolder.create(root, ASKED).close()
    else:
        with pytest.warns(RecordWarning, match="rebuilt from 2 records"):
            RunFolder.create(root, ASKED).close()
    assert index.read_bytes() == whole


def test_a_corrupt_record_is_set_aside_and_said(tmp_path: Path) -> None:
    root = tmp_path / "r"
    with RunFolder.create(root, ASKED) as folder:
        folder.write(make(0))
        folder.write(make(1))
        path = folder.job_folder(make(0).spec) / "result.json"
    path.write_bytes(path.read_bytes()[:100] + b"\xff\xfe")
    with pytest.warns(RecordWarning, match=r"set aside as result\.json\.corrupt"):
        found = RunFolder.open(root).records()
    assert [r.spec.seed for r in found] == [1]
    assert path.with_name("result.json.corrupt").is_file()


@pytest.mark.parametrize("edit", ["value", "status", "timing", "new key", "cut"])
def test_an_edited_record_is_not_taken_as_truth(tmp_path: Path, edit: str) -> None:
    with RunFolder.create(tmp_path / "r", ASKED) as folder:
        folder.write(make(timing={"train_s": 2.0}))
        path = folder.job_folder(make().spec) / "result.json"
        assert folder.read(make().spec) == make(timing={"train_s": 2.0})
    raw = json.loads(path.read_text())
    if edit == "value":
        raw["metrics"][0]["value"] = 0.4
    elif edit == "status":
        raw["status"] = "diverged"
    elif edit == "timing":
        raw["timing"]["train_s"] = 1.0
    elif edit == "new key":
        raw["note"] = "best"
    else:
        raw["metrics"] = []
    path.write_text(json.dumps(raw))
    with pytest.warns(RecordWarning, match="the record was edited; set aside"):
        assert RunFolder.open(tmp_path / "r").records() == []


def test_a_record_that_was_only_laid_out_anew_stands(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "r", ASKED) as folder:
        folder.write(make())
    path = folder.job_folder(make().spec) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=3, sort_keys=True))
    assert RunFolder.open(tmp_path / "r").records() == [make()]


def test_a_copied_job_folder_is_not_listed_twice(tmp_path: Path) -> None:
    root = tmp_path / "r"
    with RunFolder.create(root, ASKED) as folder:
        folder.write(make())
        folder.append(make())
        place = folder.job_folder(make().spec)
    shutil.copytree(place, place.with_name("a-copy"))
    with pytest.warns(RecordWarning, match="jobs/a-copy is a copy of another job"):
        assert len(RunFolder.open(root).records()) == 1
    with pytest.warns(RecordWarning, match="is a copy"):
        RunFolder.create(root, ASKED).close()
    assert len((root / "results.jsonl").read_text().splitlines()) == 1


def test_what_jobs_remove_or_change_is_put_back(tmp_path: Path) -> None:
    root = tmp_path / "r"
    with RunFolder.create(root, ASKED) as folder:
        for seed in (0, 1):
            folder.write(make(seed, ended_at=str(seed)))
            folder.append(make(seed, ended_at=str(seed)))
        before = {p: p.read_bytes() for p in root.rglob("*.json*")}
        (folder.job_folder(make(0).spec) / "result.json").write_text("{}")
        shutil.rmtree(folder.job_folder(make(1).spec))
        (root / "run.json").unlink()
        (root / "results.jsonl").unlink()
        folder.settle([make(0, ended_at="0"), make(1, ended_at="1")])
    assert {p: p.read_bytes() for p in root.rglob("*.json*")} == before


def test_a_folder_of_another_run_is_refused_with_the_difference(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "r", ASKED).close()
    with pytest.raises(BadConfig, match=r'holds another run \(models: \["m"\] there, \["n"\] now\)'):
        RunFolder.create(tmp_path / "r", {**ASKED, "models": ["n"]})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(BadConfig, match="holds other files"):
        RunFolder.create(tmp_path / "other", ASKED)
    with pytest.raises(BadConfig, match="is a file"):
        RunFolder.create(tmp_path / "other" / "thesis.tex", ASKED)
    (tmp_path / "r" / "run.json").write_text("{")
    with pytest.raises(BadInput, match="corrupt"):
        RunFolder.create(tmp_path / "r", ASKED)
    with pytest.raises(BadInput, match="is not a run folder"):
        RunFolder.open(tmp_path / "other")


def test_two_writers_at_once_are_refused(tmp_path: Path) -> None:
    with (
        RunFolder.create(tmp_path / "r", ASKED),
        pytest.raises(BadConfig, match="another ganbench is writing"),
    ):
        RunFolder.create(tmp_path / "r", ASKED)
    RunFolder.create(tmp_path / "r", ASKED).close()


def test_environment_is_kept_under_its_hash(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "r", ASKED) as folder:
        first = folder.write_environment({"torch": "2.14"})
        assert folder.write_environment({"torch": "2.14"}) == first
        other = folder.write_environment({"torch": "2.15"})
        assert folder.write_environment({"torch": "2.15"}) == other
    assert other != first
    assert len(list((tmp_path / "r").glob("env*.json"))) == 2
