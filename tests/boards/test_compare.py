"""Differences of two runs and the history of a metric."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from fakes import record
from scipy import stats

from ganbench.boards.compare import compare
from ganbench.boards.history import history
from ganbench.errors import BadInput
from ganbench.jobs.records import Record

A = [0.50, 0.55, 0.45, 0.52]


def run(values: list[float], start: int = 0, **more: object) -> list[Record]:
    return [record("gan", "ring8", start + s, {"mmd": v}, **more) for s, v in enumerate(values)]


def test_shared_seeds_are_paired_as_in_scipy() -> None:
    b = [0.41, 0.47, 0.35, 0.43]
    (d,) = compare(run(A), run(b))
    expected = stats.ttest_rel(b, A)
    assert d.p == pytest.approx(expected.pvalue)
    assert (d.low, d.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (d.paired, d.verdict) == (4, "better")


def test_without_shared_seeds_welch_decides() -> None:
    b = [0.9, 1.0, 1.1]
    (d,) = compare(run(A), run(b, start=10))
    assert d.p == pytest.approx(stats.ttest_ind(A, b, equal_var=False).pvalue)
    assert (d.paired, d.verdict) == (0, "worse")
    assert d.difference == pytest.approx(np.mean(b) - np.mean(A))


def test_a_run_compared_with_itself_is_the_same() -> None:
    (d,) = compare(run(A), run(A))
    assert (d.difference, d.p, d.verdict) == (0, 1, "same")


def test_one_seed_gives_a_difference_and_no_verdict() -> None:
    (d,) = compare(run(A[:1]), run([0.9]))
    assert (d.p, d.low, d.verdict) == (None, None, "same")


def test_other_signatures_are_not_comparable_and_nothing_in_common_is_an_error() -> None:
    (d,) = compare(run(A), run(A, signature="v2"))
    assert d.verdict == "not comparable"
    with pytest.raises(BadInput, match="in common"):
        compare(run(A), [record("vae", "ring8", 0, {"mmd": 1.0})])


def test_two_settings_of_a_model_are_compared_where_either_side_has_one() -> None:
    plain, slow = run(A), run([0.41, 0.47, 0.35, 0.43], config={"lr": 0.1})
    (d,) = compare(plain, slow)
    (by_name,) = compare(plain, run([0.41, 0.47, 0.35, 0.43]))
    assert d.model == "gan -> gan[lr=0.1]"
    assert (d.difference, d.p, d.verdict) == (by_name.difference, by_name.p, by_name.verdict)
    assert [d.model for d in compare(plain, plain + slow)] == ["gan"]  # which of the two is not said
    assert [d.model for d in compare(plain + slow, slow)] == ["gan[lr=0.1]"]


def test_the_direction_decides_what_better_means() -> None:
    up = {"directions": {"mmd": "max"}}
    (d,) = compare(run(A, **up), run([v + 1 for v in A], **up))
    assert d.verdict == "better"


def test_history_follows_the_commits_and_skips_what_did_not_change(tmp_path: Path) -> None:
    folder = tmp_path / "leaderboards" / "toy"
    folder.mkdir(parents=True)
    path = folder / "records.jsonl"

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    def write(values: list[float], extra: str = "") -> None:
        path.write_text("".join(json.dumps(r.plain()) + "\n" for r in run(values)) + extra)

    git("init", "-q")
    for values, extra in ((A, ""), (A, "\n"), ([v / 2 for v in A], "")):
        write(values, extra)
        git("add", "-A")
        git("commit", "-q", "--allow-empty", "-m", "records")
    parts = [folder / f"records-{name}.jsonl" for name in ("a", "b")]  # the same records, in two files
    (first, *rest) = path.read_text().splitlines(keepends=True)
    path.unlink()
    parts[0].write_text(first), parts[1].write_text("".join(rest))
    git("add", "-A")
    git("commit", "-q", "-m", "in two")
    for part in parts:
        part.unlink()
    write([v / 4 for v in A])
    points = history([folder], "mmd")
    assert [round(p.estimate.mean, 4) for p in points] == [round(float(np.mean(A)) * f, 4) for f in (1, 0.5, 0.25)]
    assert points[-1].commit == "working tree"
    assert history([folder], "mmd", models=["vae"]) == []
