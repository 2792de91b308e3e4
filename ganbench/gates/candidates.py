"""Trains what the seeded layer of the quality gate asks for, and reads baselines from stored pools or from records."""

from __future__ import annotations

import hashlib
import json
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ganbench.errors import BadInput
from ganbench.gates.golden import FOLDER
from ganbench.gates.training import CONFIRM_SEEDS, SCREEN_SEEDS, SIGNED, Measure, Pool, Runs
from ganbench.jobs.plan import Selection, plan
from ganbench.jobs.records import Record, RunFolder, parse_record
from ganbench.jobs.spec import Job, JobSpec

POOL = "pool.json"
MOST_TOLERANCE = 1.0  # of a score for which nothing is declared: a doubling


class JobsFailed(BadInput):
    """Candidate jobs that ended with an error: code that does not run, rather than a worse score."""


def definition() -> dict[str, Any]:
    """The jobs of the gate, their scores and tolerances, as quality.toml says."""
    return tomllib.loads((Path(__file__).parent / "quality.toml").read_text(encoding="utf-8"))


def make_pool(workers: int) -> dict[str, Any]:
    """Train the baseline pool: seeds 0, 1, ... of every job of the definition."""
    wanted = definition()
    records = train_jobs(wanted["jobs"], range(wanted["seeds"]), wanted["n_samples"], workers)
    return {"run": wanted, "pools": pools_of(records, wanted["jobs"])}


def pools_of(records: Iterable[Record], jobs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Values over seeds per "model/data set/score", with direction, scale and tolerance: what `read_pools` reads."""
    scores = {(_asked(j), j["dataset"]): j.get("scores") for j in jobs}
    pools: dict[str, Any] = {}
    rows = [r for r in records if r.status in ("ok", "diverged")]
    for record in rows:
        pair = (_ran(record.spec), record.spec.dataset)
        declared = scores.get(pair)
        for m in record.metrics:
            if m.direction not in ("min", "max") or (declared is not None and m.name not in declared):
                continue
            name = "/".join((*pair, m.name))
            kind = {"scale": "raw"} if m.name in SIGNED else {}
            kind |= (declared or {}).get(m.name, {})
            pool = pools.setdefault(name, {"values": [], "direction": m.direction, "diverged": 0, **kind})
            pool["values"].append(m.value)
    for record in rows:
        where = f"{_ran(record.spec)}/{record.spec.dataset}/"
        for name, pool in pools.items():
            pool["diverged"] += record.status == "diverged" and name.startswith(where)
    return pools


def from_records(path: Path) -> tuple[dict[str, Any], dict[str, Pool]]:
    """A baseline from a run folder or a .jsonl of records: what to train again, and a pool per score of it.

    Raises `BadInput` where it holds no record.
    """
    if path.is_dir():
        records = RunFolder.open(path).records()
    else:
        records = [parse_record(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    jobs: dict[tuple[str, str], dict[str, Any]] = {}
    for r in records:
        budget = r.spec.budget or {}
        labels = {"labels": r.spec.labels} if r.spec.labels else {}
        jobs[_ran(r.spec), r.spec.dataset] = {
            "model": r.spec.model, "dataset": r.spec.dataset, "metrics": list(r.spec.metrics),
            "config": dict(r.spec.config), **labels, **budget,
        }  # fmt: skip
    if not jobs:
        raise BadInput(f"{path.name} holds no record to compare with")
    run: dict[str, Any] = {"jobs": list(jobs.values()), "n_samples": records[0].spec.n_samples}
    found = {}
    for name, entry in pools_of(records, run["jobs"]).items():
        values = tuple(entry["values"])
        raw = entry.get("scale") == "raw" or min(values) <= 0
        spread = max(values) - min(values)
        found[name] = Pool(
            values,
            entry["direction"],
            entry["diverged"],
            tolerance=spread if raw else MOST_TOLERANCE,
            scale="raw" if raw else "log",
        )
    return run, found


def candidate(run: Mapping[str, Any], workers: int, revision: str) -> Measure:
    """Trains the current code on seeds of its own, which the revision decides: a rerun repeats, a change draws anew."""
    first = 1000 + 100 * (int(hashlib.sha256(revision.encode()).hexdigest()[:8], 16) % 10**6)

    def measure(stage: Literal["screen", "confirm"], names: Sequence[str]) -> Mapping[str, Runs]:
        count, offset = (SCREEN_SEEDS, 0) if stage == "screen" else (CONFIRM_SEEDS, 50)
        wanted = [j for j in run["jobs"] if any(n.startswith(f"{_asked(j)}/{j['dataset']}/") for n in names)]
        seeds = range(first + offset, first + offset + count)
        records = train_jobs(wanted, seeds, run["n_samples"], workers)
        return {n: _runs(n, records) for n in names}

    return measure


def train_jobs(jobs: Sequence[Mapping[str, Any]], seeds: Iterable[int], n_samples: int, workers: int) -> list[Record]:
    """The records of these jobs on these seeds. Raises `JobsFailed` naming the first that ended with an error."""
    from ganbench.jobs.executors import local
    from ganbench.jobs.executors.driver import Unheard

    chosen: list[Job] = []
    for j in jobs:
        budget = {k: j[k] for k in ("iterations", "examples", "seconds") if k in j}
        selection = Selection(
            "check", (j["model"],), (j["dataset"],), tuple(seeds), "paper" if not budget else "custom",
            tuple(j["metrics"]), n_samples, budget=budget, labels=(j["labels"],) if "labels" in j else (),
        )  # fmt: skip
        chosen += plan(selection, {j["model"]: dict(j.get("config", {}))})
    with (
        tempfile.TemporaryDirectory(prefix="ganbench-") as root,
        RunFolder.create(Path(root) / "run", {"suite": "check"}) as folder,
    ):
        records = local.run(chosen, folder, Unheard(), workers=workers, job_timeout=lambda job: 900.0).records
    bad = [r for r in records if r.status not in ("ok", "diverged")]
    if bad:
        raise JobsFailed(f"{len(bad)} of {len(records)} jobs failed, the first: {bad[0].spec.label}: {bad[0].reason}")
    return records


def write(pool: Mapping[str, Any]) -> None:
    """Keep a pool as the baseline."""
    from ganbench.files import write_atomic

    rows = ",\n  ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(pool["pools"].items()))
    write_atomic(FOLDER / POOL, f'{{\n "run": {json.dumps(pool["run"])},\n "pools": {{\n  {rows}\n }}\n}}\n')


def _runs(name: str, records: Sequence[Record]) -> Runs:
    model, dataset, score = name.split("/", 2)
    mine = [r for r in records if (_ran(r.spec), r.spec.dataset) == (model, dataset)]
    values = [m.value for r in mine for m in r.metrics if m.name == score]
    return values, sum(r.status == "diverged" for r in mine)


def _ran(spec: JobSpec) -> str:
    """The first part of a pool's name: the model, with its label count where one is said; configs share a pool."""
    return spec.but(config={}, recipe=None, draw=None, ensemble=None).row


def _asked(job: Mapping[str, Any]) -> str:
    """The same of a job of the definition."""
    return f"{job['model']}[labels={job['labels']}]" if "labels" in job else str(job["model"])
