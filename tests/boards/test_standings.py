"""From records to rows: what is ranked, what is refused, what does not depend on order."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from fakes import board, raw, record

from ganbench.boards import own
from ganbench.boards.board import load_board
from ganbench.boards.build import Built, build, files, stale, tables
from ganbench.boards.compare import compare
from ganbench.boards.own import take
from ganbench.boards.standings import block_name, standings
from ganbench.errors import BadInput
from ganbench.jobs.reading import read_records, record_files
from ganbench.jobs.records import Record


def three(model: str, dataset: str, mean: float, **more: Any) -> list[Record]:
    return [record(model, dataset, s, {"mmd": mean + 0.01 * (s - 1)}, **more) for s in range(3)]


def rows_of(records: list[Record], *datasets: str) -> dict[str, Any]:
    return {s.entry.key: s for s in standings(board(*datasets), records)}


def test_controls_and_incomplete_entries_are_shown_and_not_ranked() -> None:
    rows = rows_of(
        [
            *three("a", "ring8", 1.0), *three("a", "grid25", 1.0), *three("b", "ring8", 2.0),
            *three("control_oracle", "ring8", 0.1), *three("control_oracle", "grid25", 0.1),
        ],
        "ring8", "grid25",
    )  # fmt: skip
    assert {k: block_name(s) for k, s in rows.items()} == {
        "a": "ranked",
        "control_oracle": "control",
        "b": "incomplete",
    }
    assert rows["a"].rank is not None
    assert rows["a"].rank.place == 1
    assert rows["b"].missing == ("grid25: 0 of 3 seeds",)


def test_seeds_of_two_versions_of_a_model_are_no_row() -> None:
    records = [record("a", "ring8", s, {"mmd": 1.0}, versions={"model": "2" if s else "1"}) for s in range(3)]
    with pytest.raises(BadInput, match="seeds of a on ring8 at model versions 1, 2"):
        rows_of(records, "ring8")


def test_a_row_that_lacks_the_primary_score_says_so() -> None:
    records = [record("a", "ring8", s, {"reconstruction_error": 0.1}) for s in range(3)]
    assert rows_of(records, "ring8")["a"].missing == ("ring8: 0 of 3 seeds (scored without mmd)",)


def test_failed_seeds_are_missing_and_diverged_ones_count_as_worst() -> None:
    rows = rows_of(
        [
            *three("a", "ring8", 1.0), *three("b", "ring8", 2.0)[:2], record("b", "ring8", 2, status="failed"),
            *three("c", "ring8", 0.5)[:1], *(record("c", "ring8", s, status="diverged") for s in (1, 2)),
            *three("d", "ring8", 3.0),
        ]
    )  # fmt: skip
    assert block_name(rows["b"]) == "incomplete"
    assert "made up: failed" in rows["b"].missing[0]
    assert rows["c"].estimates["ring8", "mmd"].diverged == 2
    # c: one value of 0.49 and two seeds counted as the worst value of the task, 3.01
    assert rows["c"].ranked_by["ring8"] == pytest.approx((0.49 + 2 * 3.01) / 3)
    assert [k for k, s in sorted(rows.items(), key=lambda kv: kv[1].places["ring8"].place if kv[1].places else 9)][
        :3
    ] == ["a", "c", "d"]


def test_configs_are_entries_of_their_own() -> None:
    rows = rows_of([*three("a", "ring8", 1.0), *three("a", "ring8", 2.0, config={"lr": 0.1})])
    assert set(rows) == {"a", "a[lr=0.1]"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"signature": "mmd|other|v1"}, "signatures of mmd"),
        ({"n": 500, "signature": "mmd|n=1000|v1"}, "sample sizes of mmd"),
        ({"budget": {"iterations": 99}}, "training budgets"),
        ({"versions": {"dataset": "2"}}, "data versions"),
        ({"versions": {"protocol": "0.9"}}, "of protocol 1.0"),
    ],
)
def test_numbers_of_two_kinds_do_not_meet_in_one_column(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        rows_of([*three("a", "ring8", 1.0), *three("b", "ring8", 1.0, **change)])


def test_a_pinned_signature_is_the_only_one_admitted() -> None:
    metric = [{"name": "mmd", "direction": "min", "primary": True, "signatures": {"ring8": "mmd|v2"}}]
    with pytest.raises(BadInput, match=r"admits signature 'mmd\|v2' only"):
        standings(board("ring8", metric=metric), three("a", "ring8", 1.0))


def test_two_records_for_one_seed_are_refused_and_attempts_of_one_job_are_not() -> None:
    with pytest.raises(BadInput, match="two records for a on ring8, seed 0"):
        rows_of([*three("a", "ring8", 1.0), record("a", "ring8", 0, {"mmd": 2.0}, code_sha256="x")])
    first = record("a", "ring8", 0, status="failed")
    again = record("a", "ring8", 0, {"mmd": 1.0}).model_copy(update={"job_id": first.job_id})
    (row,) = standings(board("ring8"), [first, again])
    assert row.estimates["ring8", "mmd"].mean == 1.0


def test_records_of_another_scale_or_data_set_are_left_out() -> None:
    assert rows_of([*three("a", "ring8", 1.0, scale="standard"), *three("b", "mnist", 1.0)]) == {}


def test_the_order_of_records_does_not_change_a_byte() -> None:
    rng = random.Random(0)
    records = [
        record(f"m{i}", d, s, {"mmd": rng.random(), "kid": rng.random()})
        for i in range(7)
        for d in ("ring8", "grid25")
        for s in range(4)
    ]
    the_board = board("ring8", "grid25", metrics=("mmd", "kid"))
    rows = standings(the_board, records)
    first = files(Built(the_board, rows, tables(the_board, rows)))
    for _ in range(5):
        rng.shuffle(records)
        rows = standings(the_board, records)
        assert files(Built(the_board, rows, tables(the_board, rows))) == first


TOML = """\
[board]
id = "toy"
title = "Toy"
scale = "quick"
[[task]]
dataset = "ring8"
n = 1000
[[metric]]
name = "mmd"
direction = "min"
primary = true
"""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("primary = true", ""), "exactly one metric"),
        (("n = 1000", "n = 1"), "n: .*greater than or equal to 2"),
        (('"quick"', '"huge"'), "scale"),
        (('id = "toy"', 'id = "../x"'), "id"),
        (("title", "colour"), "title|colour"),
        (("[board]", "[board"), "not TOML"),
        (("n = 1000", 'n = 1000\nprimary = "fid"'), "'fid' is not among the metrics"),
        (("[[metric]]", '[[task]]\ndataset = "ring8"\nn = 9\n[[metric]]'), "once"),
    ],
)
def test_a_wrong_board_names_the_field(tmp_path: Path, change: tuple[str, str], reason: str) -> None:
    (tmp_path / "board.toml").write_text(TOML)
    assert load_board(tmp_path).id == "toy"
    (tmp_path / "board.toml").write_text(TOML.replace(*change))
    with pytest.raises(BadInput, match=reason):
        load_board(tmp_path)


def test_records_taken_over_are_sorted_slim_and_replace_older_ones(tmp_path: Path) -> None:
    (tmp_path / "board.toml").write_text(TOML)
    old = three("b", "ring8", 2.0)
    assert take(tmp_path, old) == (3, 0)
    failed = {"error": {"traceback": []}}
    new = [Record.model_validate(r.plain() | failed) for r in three("b", "ring8", 1.0, code_sha256="new")]
    assert take(tmp_path, [*three("a", "ring8", 1.0), *new, *three("c", "mnist", 1.0)]) == (3, 3)
    found = read_records(tmp_path / "records.jsonl")
    assert [(r.spec.model, r.spec.seed) for r in found] == [(m, s) for m in "ab" for s in range(3)]
    assert all("error" not in r.plain() for r in found)
    assert found[3].spec.code_sha256 == "new"
    before = (tmp_path / "records.jsonl").read_bytes()
    with pytest.raises(BadInput, match="signatures"):
        take(tmp_path, three("d", "ring8", 1.0, signature="other"))
    assert (tmp_path / "records.jsonl").read_bytes() == before


def test_records_of_a_large_board_stand_in_a_file_for_each_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "board.toml").write_text(TOML + '[[task]]\ndataset = "grid25"\nn = 1000\n')
    ring, grid = three("a", "ring8", 1.0), three("b", "grid25", 2.0)
    take(tmp_path, [*ring, *grid])
    assert [p.name for p in record_files(tmp_path)] == ["records.jsonl"]
    before, as_one = files(build(tmp_path)), (tmp_path / "records.jsonl").read_text()
    monkeypatch.setattr(own, "LARGEST", len(as_one.encode()) - 1)
    assert take(tmp_path, []) == (0, 0)
    assert [p.name for p in record_files(tmp_path)] == ["records-grid25.jsonl", "records-ring8.jsonl"]
    assert sorted("".join(p.read_text() for p in record_files(tmp_path))) == sorted(as_one)
    assert files(build(tmp_path)) == before
    assert not list(build(tmp_path).warnings)
    monkeypatch.undo()
    take(tmp_path, [])
    assert (tmp_path / "records.jsonl").read_text() == as_one
    assert len(record_files(tmp_path)) == 1


@pytest.mark.parametrize(
    "line", ["{", "[]", "null", '{"job_id": 1}', json.dumps({"job_id": "x", "status": "ok", "spec": {}})]
)
def test_a_torn_record_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(json.dumps(raw("a", "ring8", 0, {"mmd": 1.0})) + "\n" + line + "\n")
    with pytest.raises(BadInput, match=r"records.jsonl line 2"):
        read_records(path)


@pytest.mark.parametrize("name", ["toy2d", "digits"])
def test_committed_boards_are_what_their_records_give(name: str) -> None:
    folder = Path(__file__).parents[2] / "leaderboards" / name
    built = build(folder)
    assert stale(folder) == []
    assert {s.entry.key for s in built.standings if s.entry.control} >= {
        "control_oracle",
        "control_noise",
        "control_collapse",
        "control_memoriser",
    }


def test_label_counts_never_share_a_row_or_a_comparison() -> None:
    few = [
        record("few", "ring8", s, {"mmd": v + s / 100}, labels=n) for s in range(3) for n, v in ((50, 1.0), (100, 2.0))
    ]
    rows = {s.entry.label: s.estimates["ring8", "mmd"] for s in standings(board("ring8"), few)}
    assert {k: (e.n, round(e.mean, 2)) for k, e in rows.items()} == {
        "few[labels=100]": (3, 2.01),
        "few[labels=50]": (3, 1.01),
    }
    found = {d.model: d.difference for d in compare(few, few)}
    assert found == {"few[labels=100]": 0.0, "few[labels=50]": 0.0}


def test_training_seconds_of_two_devices_say_which() -> None:
    here, there = three("here", "digits", 0.1), three("there", "digits", 0.2, device="cuda")
    assert {s.entry.label: s.devices for s in standings(board("digits"), here + there)} == {
        "here": {"digits": "cpu"},
        "there": {"digits": "cuda"},
    }
    (of_one,), (of_both,) = (tables(board("digits"), standings(board("digits"), r)) for r in (here, here + there))
    assert [c.title for c in of_one.columns][-1] == "training s"
    assert [c.title for c in of_both.columns][-2:] == ["training s", "on"]
