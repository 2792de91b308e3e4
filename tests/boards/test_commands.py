"""The verbs: JSON alone on stdout, exit codes, and files where they belong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fakes import raw
from outsider import BOARD, toml

from ganbench.__main__ import main
from ganbench.jobs.reading import record_files


@pytest.fixture
def here(board_folder: Path, submission: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with leaderboards/small and the submission in mine/."""
    monkeypatch.chdir(submission.parent)
    return submission.parent


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    """Exit code and the JSON document on stdout."""
    capsys.readouterr()
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_submission_goes_through_the_verbs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, checked = call(capsys, "submit", "check", "mine")
    assert (code, checked["id"], checked["flags"]) == (0, "example-lab__my-gmm", [])
    assert {m["name"] for m in checked["metrics"]} == {"mmd", "inception_score"}
    code, packed = call(capsys, "submit", "pack", "mine", "--out", "out")
    assert (code, packed) == (0, {"folder": "out/example-lab__my-gmm"})
    code, added = call(capsys, "submit", "add", "out/example-lab__my-gmm")
    assert (code, added["board"]) == (0, "small")
    assert added["metrics"] == checked["metrics"]
    code, verified = call(capsys, "leaderboard", "verify")
    assert (code, verified["ok"]) == (0, True)
    code, shown = call(capsys, "leaderboard", "show", "small")
    assert code == 0
    assert shown["tables"][0]["rows"][0]["model"] == "my-gmm (Example Lab)"


def test_a_refusal_is_code_2_with_its_reason_as_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mine" / "submission.toml").write_text(toml(["s0.npz", "s1.npz"], name="<b>"))
    code, found = call(capsys, "submit", "check", "mine")
    assert code == 2
    assert found["error"]["type"] == "BadInput"
    assert "name" in found["error"]["message"]


def test_an_edited_board_fails_verification_with_code_2(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "submit", "add", "mine")[0] == 0
    path = here / "leaderboards" / "small" / "README.md"
    path.write_text(path.read_text() + "we are the best")
    code, found = call(capsys, "leaderboard", "verify", "small", "--no-rescore")
    assert (code, found["ok"]) == (2, False)
    assert [f["what"] for f in found["boards"]["small"] if not f["passed"]] == ["generated files"]


def test_build_writes_every_form_and_the_same_bytes_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = here / "leaderboards" / "small"
    records = [raw(m, "digits", s, {"mmd": 0.1 * s + i}, n=120) for i, m in enumerate("ab") for s in range(3)]
    (here / "run.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    arguments = ["leaderboard", "build", "small", "--from", "run.jsonl", "--format", "html,tex,json"]
    code, built = call(capsys, *arguments)
    assert code == 0
    assert built["boards"][0] | {"files": 0} == {
        "id": "small",
        "rows": 2,
        "ranked": 2,
        "files": 0,
        "new": 6,
        "replaced": 0,
        "warnings": [],
    }
    names = {"README.md", "board.csv", "board.html", "board.tex", "board.json", "records.jsonl", "board.toml"}
    assert {p.name for p in folder.iterdir()} == names
    before = {n: (folder / n).read_bytes() for n in names}
    call(capsys, *arguments)
    assert {n: (folder / n).read_bytes() for n in names} == before
    assert str(here).encode() not in b"".join(before.values())


@pytest.mark.parametrize(
    "arguments",
    [
        ["leaderboard", "show", "smal"],
        ["leaderboard", "show", "small", "--format", "pdf"],
        ["leaderboard", "build", "--boards", "nowhere"],
        ["leaderboard", "build", "small", "--from", "nothing"],
        ["compare", "nothing", "small"],
        ["history", "fid"],
        ["report", "mine"],
        ["submit", "add", "nothing"],
    ],
)
def test_wrong_words_end_with_code_2_and_no_traceback(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert str(here) not in err


def test_a_near_match_is_offered_for_a_board(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["leaderboard", "show", "smal"])
    assert "did you mean small?" in capsys.readouterr().err


def test_compare_and_history_read_boards_and_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = here / "leaderboards" / "other"
    shutil.copytree(here / "leaderboards" / "small", other)
    (other / "board.toml").write_text(BOARD.replace("small", "other"))
    for name, shift in (("small", 0.0), ("other", 0.5)):
        rows = [raw("a", "digits", s, {"mmd": 0.1 * s + shift}, n=120) for s in range(3)]
        path = here / "leaderboards" / name / "records.jsonl"
        path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    code, found = call(capsys, "compare", "small", "leaderboards/other/records.jsonl")
    assert code == 0
    (d,) = found["differences"]
    assert (d["verdict"], round(d["difference"], 6), d["paired"]) == ("worse", 0.5, 3)
    code, found = call(capsys, "history", "mmd", "-m", "a")
    assert code == 0
    assert [p["board"] for p in found["points"]] == ["other", "small"]


@pytest.mark.parametrize("tier", ["samples", "weights", "code", "claim"])
def test_init_begins_a_valid_submission(tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganbench.boards.submission import read_submission

    monkeypatch.chdir(tmp_path)  # not a checkout: the boards are those of the package
    assert main(["submit", "init", "mine", "--board", "toy2d", "--tier", tier]) == 0
    made = read_submission(tmp_path / "mine")
    assert (made.board, made.tier, made.name) == ("toy2d", tier, "mine")
    if tier in ("samples", "weights"):
        assert {(f.dataset, f.seed) for f in made.files} == {(d, s) for d in ("ring8", "grid25") for s in range(3)}
    assert main(["submit", "init", "mine", "--board", "toy2d"]) == 2  # it is not empty any more


def test_init_refuses_what_no_submission_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (["x", "--board", "ssl-digits"], ["<b>", "--board", "digits"], ["x", "--tier", "pickle"]):
        assert main(["submit", "init", *arguments]) == 2
    assert list(tmp_path.iterdir()) == []


def test_boards_of_the_package_are_read_and_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["leaderboard", "show", "digits"]) == 0
    assert main(["leaderboard", "build", "digits"]) == 2
    assert main(["leaderboard", "copy", "digits"]) == 0
    assert main(["leaderboard", "build", "digits"]) == 0
    assert main(["leaderboard", "copy", "digits"]) == 2
    assert (tmp_path / "leaderboards" / "digits" / "README.md").is_file()


def test_the_wheel_holds_the_boards() -> None:
    import tomllib

    root = Path(__file__).parents[2]
    tools = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "leaderboards" in tools["packages"]["find"]["include"]
    kept = {p.name for pattern in tools["package-data"]["leaderboards"] for p in (root / "leaderboards").glob(pattern)}
    records = {name for name in kept if name.startswith("records")}
    assert kept - records == {"board.toml", "published.json"}
    assert {p.name for board in (root / "leaderboards").iterdir() for p in record_files(board)} == records
