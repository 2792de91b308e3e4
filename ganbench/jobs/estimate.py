"""How long jobs will take: from records of earlier runs, else from budget, data set and what rows of boards took."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganbench.jobs.spec import Job, JobSpec
from ganbench.registry import DATASETS

# Seconds of one iteration on one core where a data set does not say what rows of boards took.
STEP_OF = {"vector": 0.003, "tokens": 0.015, "image": 0.4}
STEP_SMALL, SMALL = 0.004, 10_000  # of small images: those of data sets with so many iterations at `standard`
LARGE = 0.1  # from which a network looks at the samples
GPU_STEP = 0.006  # small networks wait for launches, whatever the data
FACTOR = 5  # within which four of five rows of the boards lie
UNKNOWN = 3600.0  # of a recipe whose budget is not known before its model is imported
START = 5.0  # seconds for the first worker to import torch and what else jobs need
SCORE, SCORE_IMAGES = 1.0, 28.0  # to sample, score and draw; with images that a network is to look at
BATCH = 64  # examples of an iteration, where a budget counts those
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
    """{"estimated_s", "estimated_bytes", "estimate_from"} of one job, and "estimate_factor" where none was measured."""
    spec = job.spec
    entry = DATASETS.get(job.dataset_ref)
    event = entry.event
    size = JOB_BYTES.get(event, JOB_BYTES["image"])
    past = known.get((spec.model, spec.dataset, json.dumps([spec.budget, spec.scale])))
    if past is not None:
        return {"estimated_s": round(past, 2), "estimated_bytes": size, "estimate_from": "measured"}
    small = event == "image" and entry.iterations.get("standard", 0) >= SMALL
    step = entry.step or (STEP_SMALL if small else STEP_OF.get(event, STEP_OF["vector"]))
    nominal = {"estimated_s": round(_nominal(spec, step), 2), "estimated_bytes": size}
    return nominal | {"estimate_from": "nominal", "estimate_factor": FACTOR}


def wall(seconds: Sequence[float], workers: int) -> float:
    """Time until the last of these jobs is done."""
    if not seconds:
        return 0.0
    return START + max(sum(seconds) / min(workers, len(seconds)), max(seconds))


def _nominal(spec: JobSpec, usual: float) -> float:
    """Seconds of the middle one of our models with this budget; `usual` is one iteration's on one core."""
    step = usual if spec.device == "cpu" else min(usual, GPU_STEP)
    score = SCORE_IMAGES if usual >= LARGE else SCORE
    if "seconds" in spec.budget:
        return spec.budget["seconds"] + score
    if not spec.budget:
        return UNKNOWN
    return step * spec.budget.get("iterations", spec.budget.get("examples", 0) / BATCH) + score
