"""Records and boards made up for tests."""

from __future__ import annotations

from typing import Any

from ganbench.boards.board import Board
from ganbench.jobs.records import Record
from ganbench.provenance.source import canonical_hash


def record(*arguments: Any, **options: Any) -> Record:
    """One record; see `raw`."""
    return Record.model_validate(raw(*arguments, **options))


def raw(
    model: str,
    dataset: str,
    seed: int,
    values: dict[str, float] | None = None,
    *,
    status: str = "ok",
    signature: str = "",
    n: int = 1000,
    directions: dict[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """What one line of results.jsonl holds; `values` maps metric -> value."""
    full = {
        "model": model,
        "config": {},
        "dataset": dataset,
        "scale": "quick",
        "budget": {"iterations": 10},
        "seed": seed,
        "metrics": sorted(values or {}),
        "n_samples": n,
        **spec,
    }
    metrics = [
        {
            "name": name,
            "value": value,
            "n": n,
            "signature": signature or f"{name}|n={n}|v1",
            "direction": (directions or {}).get(name, "min"),
            "se": None,
            "floor": None,
        }
        for name, value in (values or {}).items()
    ]
    return {
        "schema": "ganbench.result/1",
        "job_id": canonical_hash(full),
        "status": status,
        "reason": None if status == "ok" else f"made up: {status}",
        "spec": full,
        "metrics": metrics if status == "ok" else [],
        "timing": {"train_s": 1.5 + seed, "examples_per_s": 1000.0},
        "env_ref": "",
    }


def board(*datasets: str, metrics: tuple[str, ...] = ("mmd",), **changes: Any) -> Board:
    """A board on the data sets, the first metric primary, all minimised."""
    return Board.model_validate(
        {
            "id": "toy",
            "title": "Toy",
            "scale": "quick",
            "task": [{"dataset": d, "n": 1000} for d in datasets or ("ring8",)],
            "metric": [{"name": m, "direction": "min", "primary": i == 0} for i, m in enumerate(metrics)],
            **changes,
        }
    )
