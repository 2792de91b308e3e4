"""How long jobs will take: from records of earlier runs here, else from `costs.json`, brought to this machine's speed.

`docs/scripts/costs.py` writes that table from a run folder. What is in neither takes as long as the middle one of all
models on its data.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ganbench.jobs.spec import Job, JobSpec
from ganbench.registry import DATASETS

# Seconds of one iteration on one core where a data set does not say what rows of boards took.
STEP_OF = {"vector": 0.003, "tokens": 0.015, "image": 0.4}
STEP_SMALL = 0.004  # of small images
LARGE = 0.1  # from which a network looks at the samples
GPU_STEP = 0.006  # small networks wait for launches, whatever the data
FACTOR = 5  # within which four of five rows of the boards lie, where a model's own cost is not known
COSTS = Path(__file__).with_name("costs.json")
UNKNOWN = 3600.0  # of a recipe whose budget is not known before its model is imported
START = 5.0  # seconds for the first worker to import torch and what else jobs need
SCORE, SCORE_IMAGES = 1.0, 28.0  # to sample, score and draw; with images that a network is to look at
BATCH = 64  # examples of an iteration, where a budget counts those
JOB_BYTES = {"vector": 150_000, "image": 1_000_000}

Key = tuple[str, str, str]


@cache
def costs() -> dict[str, Any]:
    """{"yardstick_s": seconds, "jobs": {model: {data set: [seconds of an iteration, of all else]}}} of one machine."""
    found: dict[str, Any] = json.loads(COSTS.read_text(encoding="utf-8"))
    return found


def yardstick() -> float:
    """Seconds of a fixed piece of plain Python, which small networks wait for as much as for arithmetic.

    The least of several turns, which what else runs here disturbs least.
    """
    best = math.inf
    for _ in range(7):
        begun = time.perf_counter()
        sum(math.sin(i) for i in range(20_000))
        best = min(best, time.perf_counter() - begun)
    return best


@cache
def slowness() -> float:
    """How many times longer the yardstick takes here than on the machine of the table."""
    return float(yardstick() / costs()["yardstick_s"])


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
    """{"estimated_s", "estimated_bytes", "estimate_from"} of one job, and "estimate_factor" where none was measured.

    "measured" is from earlier runs here, "table" from `costs.json`, "nominal" from the data set and the budget alone.
    """
    spec = job.spec
    entry = DATASETS.get(job.dataset_ref)
    event = entry.event
    size = JOB_BYTES.get(event, JOB_BYTES["image"])
    past = known.get((spec.model, spec.dataset, json.dumps([spec.budget, spec.scale])))
    if past is not None:
        return {"estimated_s": round(past, 2), "estimated_bytes": size, "estimate_from": "measured"}
    cost = costs()["jobs"].get(spec.model, {}).get(spec.dataset)
    if cost is not None and not spec.config and spec.device == "cpu" and "iterations" in spec.budget:
        seconds = slowness() * (cost[0] * spec.budget["iterations"] + cost[1])
        return {"estimated_s": round(seconds, 2), "estimated_bytes": size, "estimate_from": "table"}
    step = entry.step or (STEP_SMALL if event == "image" and entry.small else STEP_OF.get(event, STEP_OF["vector"]))
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
