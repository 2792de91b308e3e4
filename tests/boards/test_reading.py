"""Records written by anybody: read whole and typed, or refused by line; a board stands whatever a submission holds."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from fakes import raw
from outsider import BOARD, N, toml

from ganbench.boards.build import build, files, readme
from ganbench.boards.html import page
from ganbench.boards.pages import board_page
from ganbench.errors import BadInput, GanbenchError
from ganbench.jobs.reading import read_record, read_records
from ganbench.provenance.source import canonical_hash
from ganbench.report.table import to_dict, to_html, to_latex

ME = "example-lab__my-gmm"
ODD: list[Any] = [
    None, True, 0, -1, 1e308, 1e99, "", "x", "\u2028", "\u202e", "\ud800", "\x00", "<script>alert(1)</script>", [], {},
    [[]], {"a": 1}, 10**400, 0.5, ["x"], "9" * 300, "{{7*7}}", "](javascript:alert(1))", "=1+1",
]  # fmt: skip


def honest() -> list[dict[str, Any]]:
    """Records of a submission to the small board."""
    values = {"mmd": 0.5, "inception_score": 3.0}
    made = [raw(ME, "digits", s, values, n=N, directions={"inception_score": "max"}) for s in range(3)]
    return [r | {"flags": ["a flag"], "origin": "submission", "verified": "re-scored"} for r in made]


def lay_out(root: Path, text: str) -> Path:
    """A board with its own records and one submission whose results are `text`."""
    folder = root / "small"
    mine = folder / "submissions" / ME
    mine.mkdir(parents=True, exist_ok=True)
    (folder / "board.toml").write_text(BOARD)
    own = [raw("a", "digits", s, {"mmd": 0.1 + s / 100}, n=N) for s in range(3)]
    (folder / "records.jsonl").write_text("".join(json.dumps(r) + "\n" for r in own))
    (mine / "submission.toml").write_text(toml(["s0.npz"]))
    (mine / "results.jsonl").write_text(text, encoding="utf-8", errors="surrogatepass")
    return folder


def shown(folder: Path) -> bool:
    """Whether the submission's scores are on the board, in every form of it; the board itself always is."""
    built = build(folder)
    text = "".join(files(built).values()) + page(board_page(folder))
    text += "".join(to_latex(t) + to_html(t) + json.dumps(to_dict(t), allow_nan=False) for t in built.tables)
    text.encode("utf-8")
    assert not set("\u2028\u2029\u202e\x00") & set(text)
    assert "<script>alert" not in text
    assert "a" in {s.entry.key for s in built.standings}
    return any(s.entry.key.endswith(ME) and s.estimates for s in built.standings)


def mutated(rng: random.Random) -> str:
    """A results.jsonl in which values are of other types or sizes, or the text itself is damaged."""
    records = honest()
    for _ in range(rng.randint(1, 3)):
        place: Any = rng.choice(records)
        for _ in range(6):
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(place[key], dict | list) and rng.random() < 0.7:
                place = place[key]
                continue
            kind = rng.random()
            if kind < 0.75:
                place[key] = rng.choice(ODD)
            elif kind < 0.85 and isinstance(place, dict):
                place[str(rng.choice(["x", "\u202e", "labels", "flags", "ensemble"]))] = rng.choice(ODD)
            else:
                del place[key]
            break
    if rng.random() < 0.7:  # the forger keeps the hash right
        for r in records:
            with contextlib.suppress(KeyError, TypeError, ValueError):
                r["job_id"] = canonical_hash(r["spec"])
    lines = [json.dumps(r, ensure_ascii=rng.random() < 0.5) for r in records]
    text = "\n".join(lines) + "\n"
    if rng.random() < 0.3:
        at = rng.randrange(len(text))
        more = rng.choice(["\u2028", "[" * 3000, "NaN", "1e999", "\n", '"', "}", "9" * 5000, '"a":' * 50, "\x00"])
        text = text[:at] + more + text[at + rng.choice([0, 0, 1, 40]) :]
    return text


def fuzz(tmp_path: Path, seeds: range) -> int:
    accepted = 0
    for seed in seeds:
        accepted += shown(lay_out(tmp_path, mutated(random.Random(seed))))
    return accepted


def test_a_board_stands_whatever_a_submission_holds(tmp_path: Path) -> None:
    assert shown(lay_out(tmp_path, "".join(json.dumps(r) + "\n" for r in honest())))
    assert fuzz(tmp_path, range(25)) < 25


@pytest.mark.slow
def test_a_board_stands_whatever_500_submissions_hold(tmp_path: Path) -> None:
    accepted = fuzz(tmp_path, range(1000, 1500))
    assert 0 < accepted < 500  # some changes say nothing wrong


BAD_LINES = {
    "a number as text": lambda r: r["metrics"][0] | {"value": "0.5"},
    "infinity": lambda r: r["metrics"][0] | {"value": 1e999},
    "a huge number": lambda r: r["metrics"][0] | {"value": 1e200},
    "a huge integer": lambda r: r["metrics"][0] | {"n": 10**400},
    "true for a number": lambda r: r["metrics"][0] | {"n": "120"},
    "a lone surrogate": lambda r: r["metrics"][0] | {"signature": "\ud800"},
    "a metric twice": lambda r: r["metrics"][1],
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_wrong_value_is_refused(case: str) -> None:
    r = honest()[0]
    r["metrics"][0] = BAD_LINES[case](r)
    with pytest.raises(BadInput):
        read_record(json.dumps(r))


@pytest.mark.parametrize("field", ["labels", "draw", "ensemble", "label_counts", "recipe"])
@pytest.mark.parametrize("value", ["x\u202e", -1, [[]], {"a": 1}])
def test_parts_of_a_spec_that_boards_read_are_typed(field: str, value: Any) -> None:
    if field == "recipe" and isinstance(value, str):
        return
    r = honest()[0]
    r["spec"][field] = value
    r["job_id"] = canonical_hash(r["spec"])
    with pytest.raises(BadInput, match=field):
        read_record(json.dumps(r))


@pytest.mark.parametrize("value", ["a flag", [1], ["x" * 501], ["x"] * 101])
def test_flags_are_a_short_list_of_short_texts(value: Any) -> None:
    with pytest.raises(BadInput, match="flags"):
        read_record(json.dumps(honest()[0] | {"flags": value}))


def test_what_only_submissions_have_is_not_written_for_others() -> None:
    plain, sent = raw(ME, "digits", 0, {"mmd": 0.5}, n=N), honest()[0]
    assert not {"flags", "origin", "verified", "samples_sha256", "members"} & set(
        json.loads(read_record(json.dumps(plain)).to_json())
    )
    assert {"flags", "origin", "verified"} <= set(json.loads(read_record(json.dumps(sent)).to_json()))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 5000, '{"schema": 1, "schema": 2}', "x" * (1 << 20) + "xx", "null"]
)
def test_a_line_that_is_too_deep_too_long_or_ambiguous_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        read_record(text)


def test_a_line_separator_inside_a_string_ends_no_line(tmp_path: Path) -> None:
    r = honest()[0] | {"reason": "one\u2028two\u0085three\x1cfour"}
    (tmp_path / "r.jsonl").write_text(json.dumps(r, ensure_ascii=False) + "\n", encoding="utf-8")
    assert [x.plain() for x in read_records(tmp_path / "r.jsonl")] == [r]


def test_flags_cannot_steer_a_page_or_a_terminal(tmp_path: Path) -> None:
    bad = "a\u202eb\u2028c\x1b[31m<b>|x|"
    text = "".join(json.dumps(r | {"flags": [bad]}) + "\n" for r in honest())
    built = build(lay_out(tmp_path, text))
    assert "a\ufffdb\ufffdc\ufffd[31m&lt;b&gt;\\|x\\|" in readme(built)


def test_a_bad_submission_is_named_and_left_out_and_strays_are_warned_of(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, "{}\n")
    (folder / "submission.toml").write_text("")
    (folder / "submissions" / "notes.txt").write_text("")
    (folder / "s0.npz").write_text("")
    warnings = build(folder).warnings
    assert len(warnings) == 4
    assert any(ME in w and "line 1 is not a record" in w for w in warnings)
    assert any(w.startswith("s0.npz is no part of a board") for w in warnings)
    assert any("a submission is a folder in submissions/" in w for w in warnings)
    assert any("submissions/notes.txt" in w for w in warnings)


@pytest.mark.parametrize("change", [{"signature": "other"}, {"n": 7}, {"direction": "max"}])
def test_scores_that_cannot_stand_beside_the_boards_are_left_out(tmp_path: Path, change: dict[str, Any]) -> None:
    records = honest()
    for r in records:
        r["metrics"][0] |= change
    folder = lay_out(tmp_path, "".join(json.dumps(r) + "\n" for r in records))
    assert not shown(folder)
    assert len(build(folder).warnings) == 1


def test_a_bad_record_of_the_board_itself_is_an_error(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, "")
    (folder / "records.jsonl").write_text("{}\n")
    with pytest.raises(GanbenchError, match=r"records.jsonl line 1"):
        build(folder)
