"""Training fingerprints: the losses of a model's first 50 iterations, which nothing but its own change may move.

Seed 0, float32, one thread, on a small built-in data set. Curves are stored per platform tag; another kind of
processor rounds otherwise, so where no curve is stored for this one, the baseline's is made here from its source.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ganbench import seeding
from ganbench.engine.loop import train
from ganbench.errors import BadInput, Diverged, MissingResource, NotApplicable
from ganbench.gates.golden import FOLDER
from ganbench.gates.platform import platform_tag
from ganbench.gates.verdict import Verdict
from ganbench.jobs.plan import Selection, plan
from ganbench.jobs.runner import budget_of, make_model
from ganbench.jobs.shown import training_data
from ganbench.jobs.spec import Job
from ganbench.registry import MODELS
from ganbench.scoring.draws import draw
from ganbench.scoring.inputs import Workplace

ITERATIONS, SAMPLES = 50, 64
RTOL = 1e-4
DATASETS = ("ring8", "digits")  # the first that a model takes


@dataclass(frozen=True)
class Fingerprint:
    """Losses over iterations and moments of the samples, or the error a model ended with."""

    version: int
    dataset: str
    series: dict[str, list[float]]  # loss of each player, and "samples": mean and standard deviation of a few
    error: str = ""


def measure(models: Iterable[str] | None = None) -> dict[str, Fingerprint]:
    """The fingerprint of every registered model, or of these. One torch thread while it runs."""
    place, threads = Workplace(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        names = [e.name for e in MODELS if not e.prefix] if models is None else list(models)
        return {name: _of(name, place) for name in names}
    finally:
        torch.set_num_threads(threads)


def compare(stored: Mapping[str, Fingerprint], now: Mapping[str, Fingerprint]) -> list[Verdict]:
    """A verdict per model of either side."""
    names = [*stored, *(n for n in now if n not in stored)]
    return [_verdict(n, stored.get(n), now.get(n)) for n in names]


def stored_at_home(tag: str) -> dict[str, Fingerprint] | None:
    """The curves stored with this ganbench for a platform; None where there are none."""
    path = FOLDER / "fingerprints" / f"{tag}.json"
    return parse(path.read_text(encoding="utf-8")) if path.is_file() else None


def made_by(tree: Path) -> dict[str, Fingerprint]:
    """The curves that another source tree gives on this machine. Raises `MissingResource` when it cannot make any."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ganbench.gates.fingerprints"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tree, env=environment, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise MissingResource(f"the baseline revision makes no fingerprints here: {last}; choose a later one")
    return parse(done.stdout)


def parse(text: str) -> dict[str, Fingerprint]:
    """Curves from their JSON. Raises `BadInput`."""
    try:
        return {name: Fingerprint(**fields) for name, fields in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInput(f"the stored fingerprints cannot be read: {error}; make them anew with --update") from None


def to_json(prints: Mapping[str, Fingerprint]) -> str:
    """One line a model, so that a change shows as the lines it touches."""
    rows = [f"{json.dumps(n)}: {json.dumps(vars(f), sort_keys=True)}" for n, f in sorted(prints.items())]
    return "{\n" + ",\n".join(rows) + "\n}\n"


def write(prints: Mapping[str, Fingerprint]) -> Path:
    """Keep these curves as the ones of this platform."""
    from ganbench.files import write_atomic

    path = FOLDER / "fingerprints" / f"{platform_tag()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, to_json(prints))
    return path


def _verdict(name: str, old: Fingerprint | None, new: Fingerprint | None) -> Verdict:
    if old is None or new is None:
        reason = "no stored curve yet; --update makes one" if old is None else "the model is gone"
        return Verdict("fingerprint", name, "note", reason)
    if old.version != new.version:
        return Verdict("fingerprint", name, "note", f"version {old.version} -> {new.version}: a new history begins")
    cure = "if this is meant, bump the model's version"
    if new.error != old.error:
        return Verdict("fingerprint", name, "regression", f"{new.error or 'trains'}; before: {old.error or 'trained'}")
    lost = sorted(set(old.series) - set(new.series))  # a series more is no change: models may say more of themselves
    if lost or old.dataset != new.dataset:
        what = f"leaves no {', '.join(lost)}" if lost else f"trains on {new.dataset}, on {old.dataset} before"
        return Verdict("fingerprint", name, "regression", f"{what}; {cure}")
    worst, where = 0.0, ""
    for key, curve in old.series.items():
        a, b = np.asarray(curve), np.asarray(new.series[key])
        if a.shape != b.shape:
            return Verdict("fingerprint", name, "regression", f"{key}: {len(b)} entries, {len(a)} before; {cure}")
        off = np.abs(a - b) / np.maximum(np.abs(a), np.abs(a).mean() if a.size else 1.0).clip(1e-12)
        if off.size and (off > RTOL).any() and (not where or off.max() > worst):
            t = int(np.argmax(off > RTOL))
            where = f"{key} differs from iteration {t} on: {b[t]:.6g}, {a[t]:.6g} before"
        worst = max(worst, float(off.max()) if off.size else 0.0)
    numbers = {"off": worst, "rtol": RTOL}
    if where:
        return Verdict("fingerprint", name, "regression", f"{where}; {cure}", numbers)
    return Verdict("fingerprint", name, "ok", numbers=numbers)


def _of(name: str, place: Workplace) -> Fingerprint:
    version = int(MODELS.get(name).version)
    job = _job(name)
    if job is None:
        return Fingerprint(version, "", {}, "takes none of " + ", ".join(DATASETS))
    dataset, series, error = place.dataset(job.dataset_ref), dict[str, list[float]](), ""
    try:
        model = make_model(job, dataset.spec)
        data = training_data(model, dataset, job.spec)
        with seeding.global_stream("training", name, job.spec.dataset, 0):
            rng = seeding.stream("training", name, job.spec.dataset, 0)
            trained = train(model, data, budget_of(job.spec), rng)
        series = {key: _short(values) for key, (_, values) in trained.history.items()}
        if "sample" in model.gives:
            x = draw(model, dataset, SAMPLES, (job.spec.dataset, job.spec.seed), torch.device("cpu")).double()
            series["samples"] = _short([float(x.mean()), float(x.std())])
    except Diverged as stopped:
        error = str(stopped)
    except (NotApplicable, MissingResource) as absent:
        error = str(absent)
    except Exception as failure:  # what a model's code raises is what this gate is there to tell
        error = f"{type(failure).__name__}: {failure}"
    return Fingerprint(version, job.spec.dataset, series, error)


def _job(name: str) -> Job | None:
    for dataset in DATASETS:
        budget: dict[str, int | float] = {"iterations": ITERATIONS}
        (job,) = plan(Selection("check", (name,), (dataset,), (0,), "custom", (), SAMPLES, budget=budget))
        if job.skip is None:
            return job
    return None


def _short(values: Iterable[float]) -> list[float]:
    """Seven digits: what float32 holds."""
    return [float(f"{v:.7g}") for v in values]


if __name__ == "__main__":
    sys.stdout.write(to_json(measure()))
