"""`ganbench test` on files of outsiders: a good one passes, a broken one fails exactly the fact that it breaks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from outsiders import CHANGES, GOOD, SAMPLE, Change

from ganbench.__main__ import main
from ganbench.gates.contract.check import check, verdict
from ganbench.gates.contract.events import Case
from ganbench.gates.contract.facts import FACTS, plan
from ganbench.registry import MODELS


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(GOOD)
    return path


def verdicts(path: Path, *kinds: str) -> list:
    cases = {kind: Case(MODELS.get(f"{path}:Mine"), kind) for kind in kinds}
    return [verdict(cases[kind], fact) for kind, fact in plan(kinds)]


def test_each_fact_has_a_file_that_breaks_it() -> None:
    assert {c.breaks for c in CHANGES} == {fact.__name__.replace("_", " ") for fact in FACTS}
    assert all((fact.__doc__ or "").split("\n")[0].endswith(".") for fact in FACTS)


def test_a_good_file_keeps_them_all(mine: Path) -> None:
    found = verdicts(mine, "vector", "image8")
    assert {v.status for v in found} == {"passed"}
    assert len(found) == len(FACTS) - 1 + len(FACTS) - 4  # pictures of images alone; four facts once


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.breaks.replace(" ", "_"))
def test_a_broken_file_fails_the_fact_that_it_breaks_and_no_other(change: Change, mine: Path) -> None:
    mine.write_text(change.apply())
    failed = [v for v in verdicts(mine, "image8") if v.status == "failed"]
    assert [v.fact for v in failed] == [change.breaks]
    (found,) = failed
    assert found.must
    assert found.got
    assert change.says in f"{found.got}; {found.cure}"


def test_the_verb_ends_with_0_where_all_facts_hold(mine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["test", f"{mine}:Mine", "-d", "vector"]) == 0
    out, err = capfd.readouterr()
    assert "passed          vector   it trains" in out
    assert f"{len(FACTS) - 1} passed, 0 failed" in err


def test_the_verb_ends_with_3_where_one_does_not(mine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mine.write_text(GOOD.replace(SAMPLE, SAMPLE + ".double()"))
    assert main(["test", f"{mine}:Mine", "-d", "vector", "--json"]) == 3
    found = json.loads(capfd.readouterr().out)
    (failed,) = [f for f in found["facts"] if f["status"] == "failed"]
    assert found["failed"] == 1
    assert failed["must"] == "samples must be torch.float32"
    assert failed["got"] == "torch.float64"


@pytest.mark.parametrize(
    ("ref", "extra", "says"),
    [
        ("nowhere.py:Mine", [], "nowhere.py"),
        ("{mine}:Yours", [], "did you mean"),
        ("wgan_gq", [], "did you mean wgan_gp"),
        ("{mine}:Mine", ["-d", "image9"], "did you mean image8"),
        ("{mine}:Mine", ["-d", "vector"], "does not import: ModuleNotFoundError"),
    ],
)
def test_the_verb_ends_with_2_where_there_is_nothing_to_test(
    ref: str, extra: list[str], says: str, mine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if "import" in says:
        mine.write_text(GOOD.replace("import random", "import no_such_module"))
    if "Yours" in ref:
        mine.write_text(GOOD.replace("class Mine", "class Yourz"))
    assert main(["test", ref.format(mine=mine), *extra]) == 2
    assert says in capfd.readouterr().err


def test_a_fact_at_which_the_process_dies_or_hangs_costs_no_other(mine: Path) -> None:
    ends = "import os, time\n        os._exit(3) if n == 1 else time.sleep(99) if n == 4 else None"
    mine.write_text(GOOD.replace(SAMPLE, f"{ends}\n        {SAMPLE}"))
    failed = {v.fact: v.got for v in check(f"{mine}:Mine", ["vector"], limit=8) if v.status == "failed"}
    assert failed.keys() == {"it samples events of the data", "weights survive a round trip"}
    assert "exit code 3" in failed["it samples events of the data"]
    assert "did not answer within 8 s" in failed["weights survive a round trip"]
