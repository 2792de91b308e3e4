"""Trends of calibrated speed: scaled by the machine, apart by device class, torn lines set aside, falls seen."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ganbench.bench import trend
from ganbench.bench.calibration import Calibration
from ganbench.bench.trend import Point
from ganbench.commands import invoke
from ganbench.errors import BadInput, UnknownName


def point(day: int, rate: float, speed: float = 100.0, **changes: Any) -> Point:
    fields = {
        "at": datetime(2026, 1, day, tzinfo=UTC), "revision": f"{day:040x}", "device_class": "cpu-a", "clock": "cpu",
        "threads": 1, "torch": "2.14.1", "calibration": "cal/1", "scores": {"matmul_f32": speed, "sort": 7.0},
        "drift": 0.01, "rates": {"pairwise_tiles": rate, "projections_sort": 3.0},
    }  # fmt: skip
    return Point(**{**fields, **changes})


def test_steps_are_flagged_within_a_class_only() -> None:
    points = [
        point(1, 1000.0),
        point(2, 2000.0, 200.0),  # a faster day of the same machine: no change
        point(3, 1500.0, 200.0),  # -25 %
        point(4, 500.0, drift=0.30),  # unsteady: left out
        point(5, 10.0, device_class="cpu-b"),  # another class, clock or thread count: nothing to compare with
        point(6, 10.0, clock="wall"),
        point(7, 10.0, threads=2),
        point(8, 1300.0, 200.0),  # -13 %
    ]
    assert [(s.case, s.point.at.day, s.change) for s in trend.steps(points)] == [
        ("pairwise_tiles", 3, pytest.approx(-0.25))
    ]
    assert len(trend.by_series(points)) == 4
    assert Calibration({"x": 100.0}).drift(Calibration({"x": 90.0})) == pytest.approx(0.1)


def test_the_printed_table_shows_the_step_and_keeps_classes_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "trend.jsonl"
    for p in (point(1, 1000.0), point(3, 740.0), point(2, 4.0, device_class="cpu-b"), point(4, 740.0, drift=0.2)):
        trend.append(file, p)
    assert invoke(["bench", "trend", str(file), "--show"]) == 0
    a, b = capsys.readouterr().out.split("cpu-b, 1 thread")
    assert "0.74 (-26%)" in a
    assert "(drift 20%)" in a
    assert "pairwise_tiles fell by 26% at 2026-01-03 0000000 on cpu-a" in b
    assert next(line.split() for line in a.splitlines() if line.startswith("projections_sort"))[2:4] == ["1.00", "1.00"]
    assert next(line.split() for line in b.splitlines() if line.startswith("pairwise")) == [
        "pairwise_tiles",
        "matmul_f32",
        "1.00",
    ]


def test_corrupt_lines_are_set_aside_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "trend.jsonl"
    trend.append(file, point(1, 1000.0))
    bad = json.loads(point(2, 1.0).model_dump_json())
    lines = [
        "{torn",
        '{"a": 1}',
        json.dumps({**bad, "rates": {"x": 0.0}}),
        json.dumps({**bad, "drift": None}),
        "[" * 10_000,
    ]
    with file.open("ab") as f:
        f.write("\n".join(lines).encode() + b"\n\xff\xfe\n" + b'{"format": "ganb')  # the last was cut off
    trend.append(file, point(3, 700.0))
    assert invoke(["bench", "trend", str(file), "--show", "--json"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found["set_aside"] == [2, 3, 4, 5, 6, 7, 8]
    assert [s["point"] for s in found["steps"]] == [1]
    assert len(found["points"]) == 2
    assert "trend.jsonl line 2 is set aside" in printed.err


def test_a_run_adds_one_line_and_what_is_not_there_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "new" / "trend.jsonl"
    with pytest.raises(BadInput, match="without --show"):
        trend.read(file)
    with pytest.raises(UnknownName, match="sliced_loss"):
        trend.measure(["sliced_los"])
    with pytest.raises(BadInput, match="folder"):
        trend.append(tmp_path, point(1, 1.0))
    for _ in range(2):
        assert invoke(["bench", "trend", str(file), "-k", "sliced_loss", "--clock", "cpu"]) == 0
    points, aside = trend.read(file)
    assert not aside
    assert [list(p.rates) for p in points] == [["sliced_loss"]] * 2
    assert set(points[0].scores) >= {trend.limit(c) for c in (*trend.LIMIT, "pairwise_tiles")}
    assert points[0].series == points[1].series
