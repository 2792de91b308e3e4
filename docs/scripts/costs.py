"""Writes ganbench/jobs/costs.json, what `plan` knows of each model's cost, from run folders made on this machine.

Run as `python docs/scripts/costs.py RUN...`, right after `make run` on an idle machine: it measures the yardstick too.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

from ganbench.jobs import estimate
from ganbench.jobs.records import RunFolder


def main(folders: list[str]) -> None:
    """Seconds of an iteration and of all else, medians over the jobs of a model on a data set."""
    seen: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for folder in folders:
        for record in RunFolder.open(Path(folder)).records():
            timing, spec = record.timing, record.spec
            if record.status != "ok" or spec.device != "cpu" or spec.config:
                continue
            trained = timing["train_s"] if record.iterations else 0.0  # else it does not grow with the budget
            seen[spec.model][spec.dataset].append((trained / (record.iterations or 1), timing["wall_s"] - trained))
    jobs = {
        model: {
            data: [float(f"{statistics.median(column):.3g}") for column in zip(*rows, strict=True)]
            for data, rows in on.items()
        }
        for model, on in seen.items()
    }
    lines = ",\n".join(f"  {json.dumps(model)}: {json.dumps(jobs[model], sort_keys=True)}" for model in sorted(jobs))
    head = f'{{\n "yardstick_s": {estimate.yardstick():.3g},\n "jobs": {{\n'
    estimate.COSTS.write_text(f"{head}{lines}\n }}\n}}\n", encoding="utf-8")
    print(f"{sum(map(len, jobs.values()))} costs of {len(jobs)} models in {estimate.COSTS.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
