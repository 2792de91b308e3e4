"""The table of known answers passes here, and a broken metric shows in it."""

import dataclasses
import json

import pytest

from ganbench.commands import invoke
from ganbench.metrics import selftest


def test_every_known_answer_is_given_and_every_control_caught():
    rows = selftest.selftest()
    assert [r for r in rows if not r.passed] == []
    assert len(rows) > 40
    assert sum(r.name.startswith("control") for r in rows) >= 15
    assert len({r.name for r in rows}) == len(rows)


def test_a_metric_that_raises_or_lies_becomes_a_failed_row(monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("boom")

    monkeypatch.setattr(selftest, "modes", broken)
    monkeypatch.setattr(selftest, "CHECKS", (selftest._modes,))
    (row,) = selftest.selftest()
    assert (row.passed, row.got) == (False, "RuntimeError: boom")


@pytest.mark.parametrize("got", [float("nan"), 1.1])
def test_wrong_and_missing_numbers_do_not_pass(got):
    assert not selftest.near("x", 1.0, got, 0.01).passed
    assert not selftest.between("x", 0.9, 1.05, got).passed


def test_a_control_that_is_accepted_does_not_pass():
    assert not selftest.refused("x", lambda: 3).passed


def test_the_verb_prints_rows_and_ends_with_one_when_a_row_fails(monkeypatch, capsys):
    rows = [selftest.Row("a", "1", "1", True), selftest.Row("b", "1", "2", False)]
    monkeypatch.setattr(selftest, "selftest", lambda: rows)
    assert invoke(["selftest", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert shown == {"rows": [dataclasses.asdict(row) for row in rows]}
    monkeypatch.setattr(selftest, "selftest", lambda: rows[:1])
    assert invoke(["selftest"]) == 0
    out, err = capsys.readouterr()
    assert "pass" in out
    assert "1 of 1 pass" in err
