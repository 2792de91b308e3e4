"""What a log of a run says, and when."""

from __future__ import annotations

from typing import Any

import pytest

from ganbench.report import progress

STATE: dict[str, Any] = {"job": "veegan/grid25/s0", "iteration": 1500, "share": 0.15, "rate": 40.2}


def test_a_log_names_running_jobs_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    lines = progress.Lines(3)
    said = []
    for now in (10.0, 59.9, 60.0, 61.0, 119.9, 120.0):  # noqa: B007 (read through the clock)
        lines.tick([STATE])
        said.append(capsys.readouterr().err)
    assert [bool(s) for s in said] == [False, False, True, False, False, True]
    assert said[2] == "[0/3] veegan/grid25/s0  iteration 1,500 (15%), 40 it/s\n"
