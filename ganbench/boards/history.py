"""How a metric moved over commits: the means of a model in every committed version of the boards' records."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ganbench.boards.own import own_records
from ganbench.boards.standings import latest
from ganbench.errors import BadInput
from ganbench.jobs.reading import record_files
from ganbench.jobs.records import Record, parse_record
from ganbench.stats import Estimate, estimate

LIMIT = 200  # versions of one file that are read


@dataclass(frozen=True)
class Point:
    """A metric of one model on one data set as of one commit."""

    date: str  # of the commit, ISO; empty for what is not committed
    commit: str  # short hash, or "working tree"
    board: str
    model: str
    dataset: str
    scale: str
    signature: str
    estimate: Estimate


def history(boards: Iterable[Path], metric: str, models: Iterable[str] = (), dataset: str | None = None) -> list[Point]:
    """Points in the order of commits; a point is kept only where the value, the seeds or the signature changed.

    `boards` are their folders; records in a git checkout are read at every commit that touched them.
    """
    wanted = set(models)
    points: list[Point] = []
    for folder in boards:
        last: dict[tuple[str, str, str], Point] = {}
        for commit, date, records in _versions(folder):
            for point in _points(records, metric, folder.name, commit, date):
                key = (point.model, point.dataset, point.scale)
                skip = (wanted and point.model not in wanted) or (dataset and point.dataset != dataset)
                before = last.get(key)
                same = before and (before.estimate, before.signature) == (point.estimate, point.signature)
                if not skip and not same:
                    last[key] = point
                    points.append(point)
    return points


def _points(records: Iterable[Record], metric: str, board: str, commit: str, date: str) -> Iterator[Point]:
    groups: dict[tuple[str, str, str, str], list[float]] = {}
    for record in latest(records):
        spec, m = record.spec, record.score(metric)
        if m is not None and record.status == "ok":
            groups.setdefault((spec.row, spec.dataset, spec.scale, m.signature), []).append(m.value)
    for (model, dataset, scale, signature), values in sorted(groups.items()):
        yield Point(date, commit, board, model, dataset, scale, signature, estimate(values))


def _versions(folder: Path) -> Iterator[tuple[str, str, list[Record]]]:
    """(commit, date, records) of every committed version, oldest first, then of the files as they lie there."""
    seen = ""
    log = _git(folder, "log", f"-{LIMIT}", "--format=%h %cI", "--", "records*.jsonl")
    for line in reversed(log.splitlines()):
        commit, _, date = line.partition(" ")
        there = _git(folder, "ls-tree", "--name-only", commit, "./").splitlines()
        names = sorted(n for n in there if n.startswith("records") and n.endswith(".jsonl"))
        seen = "".join(_git(folder, "show", f"{commit}:./{name}") for name in names)
        yield commit, date, [r for text in seen.splitlines() if (r := _record(text)) is not None]
    if "".join(path.read_text(encoding="utf-8") for path in record_files(folder)) != seen:
        yield "working tree", "", own_records(folder)


@cache  # most lines are the same from commit to commit
def _record(text: str) -> Record | None:
    """A record of an old version; None for a line of a form that is no longer read."""
    try:
        return parse_record(text)
    except BadInput:
        return None


def _git(folder: Path, *arguments: str) -> str:
    """Output of a git command; empty where there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
