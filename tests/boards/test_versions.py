"""Rows that an older version of their model reached say so, on the board and to a command."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from fakes import raw

from ganbench.__main__ import main
from ganbench.boards.build import Stale, build, stale_rows, to_csv, today, write
from ganbench.boards.build import long_table as long_table_of
from ganbench.boards.own import own_records

ROOT = Path(__file__).parents[2] / "leaderboards"
BOARD = """
[board]
id = "toy"
title = "Toy"
scale = "quick"
min_seeds = 2
[[task]]
dataset = "ring8"
n = 1000
[[task]]
dataset = "grid25"
n = 1000
[[metric]]
name = "mmd"
direction = "min"
primary = true
"""


def lay_out(folder: Path, versions: dict[tuple[str, str], str]) -> Path:
    folder.mkdir(parents=True)
    (folder / "board.toml").write_text(BOARD)
    rows = [
        raw(model, dataset, s, {"mmd": 0.1 + s}, versions={"model": version})
        for (model, dataset), version in versions.items()
        for s in range(2)
    ]
    (folder / "records.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder


def test_the_version_stands_beside_a_row_that_is_not_todays(tmp_path: Path) -> None:
    now = today("gan")
    rows = {("gan", "ring8"): "0", ("gan", "grid25"): now, ("wgan", "ring8"): today("wgan"), ("mine", "ring8"): "7"}
    built = write(lay_out(tmp_path / "toy", rows))
    assert stale_rows(built.standings) == [Stale("gan", "ring8", "0", now)]
    page = (tmp_path / "toy" / "README.md").read_text()
    overall, ring, grid = (part.split("\n\n")[1] for part in page.split("\n## ")[1:])
    mark = f"| gan (v0, now v{now}) "
    assert (mark in overall, mark in ring, mark in grid) == (True, True, False)
    assert page.count("now v") == 3  # the third explains the mark
    lines = list(csv.DictReader(io.StringIO((tmp_path / "toy" / "board.csv").read_text())))
    assert {(r["model"], r["dataset"]): r["version"] for r in lines if r["version"]} == {
        ("gan", "ring8"): f"v0, now v{now}"
    }


def test_a_board_of_todays_versions_has_no_mark_and_no_column(tmp_path: Path) -> None:
    built = build(lay_out(tmp_path / "toy", {("gan", "ring8"): today("gan")}))
    assert stale_rows(built.standings) == []
    assert "version" not in to_csv(long_table_of(built)).splitlines()[0].split(",")


def test_the_marks_on_the_committed_boards_are_the_records_of_other_versions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["leaderboard", "stale", "--boards", str(ROOT), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    print({name: len(rows) for name, rows in found["boards"].items()})
    for name, rows in found["boards"].items():
        records = own_records(ROOT / name)
        older = {r.spec.model for r in records if r.spec.versions["model"] != today(r.spec.model)}
        assert {row["row"].partition("[")[0].partition(" +")[0].partition(",")[0] for row in rows} <= older
        marks = (ROOT / name / "board.csv").read_text().count(", now v")
        assert bool(marks) == bool(rows)
    assert found["total"] == sum(map(len, found["boards"].values()))
