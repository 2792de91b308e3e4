"""How long jobs will take: from records of earlier runs, else from what a scale is meant to cost."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganbench.jobs import Job, JobSpec
from ganbench.registry import DATASETS

NOMINAL = {"smoke": 2.0, "quick": 5.0, "standard": 30.0, "paper": 3600.0}  # seconds of a plain GAN on one core
START, SCORE = 4.0, 1.0  # seconds for a worker to import torch; for a job to sample, score and draw
JOB_BYTES = {"vector": 150_000, "image": 1_000_000}

Key = tuple[str, str, str]


def past_seconds(out: Path | None) -> dict[Key, float]:
    """Median wall seconds by (model, data set, budget) over the records in `out` and in the run folders beside it."""
    beside = out.parent if out else Path("runs")
    found: dict[Key, list[float]] = {}
    for path in sorted(beside.glob("*/results.jsonl"))[-20:]:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                raw = json.loads(line)
                if raw["status"] == "ok":
                    spec = raw["spec"]
                    key = (spec["model"], spec["dataset"], json.dumps([spec["budget"], spec["scale"]]))
                    found.setdefault(key, []).append(float(raw["timing"]["wall_s"]))
            except (ValueError, KeyError, TypeError):
                continue
    return {key: statistics.median(values) for key, values in found.items()}


def of(job: Job, known: dict[Key, float]) -> dict[str, Any]:
    """{"estimated_s", "estimated_bytes", "estimate_from"} of one job."""
    spec = job.spec
    entry = DATASETS.get(job.dataset_ref)
    event = entry.meta.get("event", "image")
    size = JOB_BYTES.get(event, JOB_BYTES["image"])
    past = known.get((spec.model, spec.dataset, json.dumps([spec.budget, spec.scale])))
    if past is not None:
        return {"estimated_s": round(past, 2), "estimated_bytes": size, "estimate_from": "measured"}
    nominal = _nominal(spec, entry.meta.get("iterations", {}))
    return {"estimated_s": round(nominal, 2), "estimated_bytes": size, "estimate_from": "nominal"}


def wall(seconds: Sequence[float], workers: int) -> float:
    """Time until the last of these jobs is done."""
    if not seconds:
        return 0.0
    return START + max(sum(seconds) / min(workers, len(seconds)), max(seconds))


def _nominal(spec: JobSpec, iterations: dict[str, int]) -> float:
    if "seconds" in spec.budget:
        return spec.budget["seconds"] + SCORE
    if spec.scale in NOMINAL:
        slow = spec.scale == "standard" and iterations.get("standard", 0) < 10_000
        return (240.0 if slow else NOMINAL[spec.scale]) + SCORE
    each = NOMINAL["smoke"] / max(1, iterations.get("smoke", 600))
    return each * spec.budget.get("iterations", spec.budget.get("examples", 0) / 64) + SCORE
