"""The quality gate: golden values, fingerprints and seeded training, against a baseline revision or records."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from ganbench.errors import MissingResource
from ganbench.gates import candidates, fingerprints, golden, revisions
from ganbench.gates.platform import platform_tag
from ganbench.gates.training import read_pools, screen_and_confirm
from ganbench.gates.verdict import Verdict
from ganbench.provenance import environment

LAYERS = ("golden", "fingerprint", "training")
GOLDEN_FOLDER = "ganbench/golden"


def check(
    baseline: str | None, layers: Sequence[str] = LAYERS, *, workers: int = 1, say: Callable[[str], None] = print
) -> list[Verdict]:
    """The verdicts of these layers. `baseline` is a revision, a run folder or a .jsonl; None: what is stored here.

    A baseline made of records serves the training layer; the others then use what is stored here.
    """
    records = Path(baseline) if baseline and _is_records(Path(baseline)) else None
    commit = revisions.resolve(baseline) if baseline and records is None else None
    verdicts: list[Verdict] = []
    if "golden" in layers:
        say("golden values")
        verdicts += _golden(commit)
    if "fingerprint" in layers:
        say("training fingerprints")
        verdicts += _fingerprints(commit, say)
    if "training" in layers:
        say("seeded training: the screen takes minutes, a confirmation twice that")
        verdicts += _training(commit, records, workers)
    return verdicts


def update(layers: Sequence[str], *, workers: int = 1, say: Callable[[str], None] = print) -> list[str]:
    """Make the stored values of these layers anew; returns the files written."""
    written = []
    if "golden" in layers:
        golden.write(golden.measure())
        written.append(f"{GOLDEN_FOLDER}/{golden.VALUES}")
    if "fingerprint" in layers:
        written.append(f"{GOLDEN_FOLDER}/fingerprints/{fingerprints.write(fingerprints.measure()).name}")
    if "training" in layers:
        say("training the pool")
        candidates.write(candidates.make_pool(workers))
        written.append(f"{GOLDEN_FOLDER}/{candidates.POOL}")
    return written


def _golden(commit: str | None) -> list[Verdict]:
    text = _stored(commit, golden.VALUES)
    if text is None:
        return [_nothing("golden", "golden values", commit)]
    return golden.compare(golden.parse(text), golden.measure())


def _fingerprints(commit: str | None, say: Callable[[str], None]) -> list[Verdict]:
    tag = platform_tag()
    text = _stored(commit, f"fingerprints/{tag}.json")
    if text is not None:
        return fingerprints.compare(fingerprints.parse(text), fingerprints.measure())
    if commit is None:
        reason = f"no curves are stored for {tag}: name a revision with --baseline, or make them with --update"
        return [Verdict("fingerprint", "all models", "environment", reason)]
    say(f"no curves are stored for {tag}: making those of the baseline from its source")
    try:
        with revisions.trees(commit) as (tree,):
            before = fingerprints.made_by(tree)
    except MissingResource as error:
        return [Verdict("fingerprint", "all models", "environment", str(error))]
    return fingerprints.compare(before, fingerprints.measure())


def _training(commit: str | None, records: Path | None, workers: int) -> list[Verdict]:
    if records is not None:
        run, pools = candidates.from_records(records)
    else:
        text = _stored(commit, candidates.POOL)
        if text is None:
            return [_nothing("training", "baseline pool", commit)]
        run, pools = read_pools(text)
    try:
        return screen_and_confirm(pools, candidates.candidate(run, workers, _revision()))
    except candidates.JobsFailed as error:
        return [Verdict("training", "jobs", "regression", str(error))]


def _stored(commit: str | None, name: str) -> str | None:
    if commit is not None:
        return revisions.file_at(commit, f"{GOLDEN_FOLDER}/{name}")
    path = golden.FOLDER / name
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _nothing(gate: str, name: str, commit: str | None) -> Verdict:
    where = f"at {commit[:12]}" if commit else "here"
    reason = f"none stored {where}; `ganbench check --update` makes them, commit what it writes"
    return Verdict("golden" if gate == "golden" else "training", name, "environment", reason)


def _revision() -> str:
    """What decides the candidate's seeds: the commit, and the source itself where it was changed since."""
    git = environment.git()
    if git and not git["dirty"]:
        return str(git["commit"])
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).resolve().parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_records(path: Path) -> bool:
    try:
        return (path / "run.json").is_file() or (path.suffix == ".jsonl" and path.is_file())
    except OSError:
        return False
