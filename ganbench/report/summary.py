"""What a run amounts to: its tables, curves over label counts and published numbers, as data and as three files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ganbench.files import write_atomic
from ganbench.jobs.records import Record
from ganbench.registry import recipes
from ganbench.report import label_counts, published, tables


def as_data(records: list[Record]) -> dict[str, Any]:
    """Tables and troubles as plain data."""
    curves = label_counts.json_ready(label_counts.curves(records))
    beside = [vars(line) for line in beside_papers(records)]
    return {
        "tables": tables.json_ready(tables.pivot(records)),
        "troubles": tables.troubles(records),
        **({"label_curves": curves} if curves else {}),
        **({"published": beside} if beside else {}),
    }


def beside_papers(records: list[Record]) -> list[published.Line]:
    """What full-budget runs reached beside what their papers printed."""
    models = sorted({r.spec.model for r in records if r.spec.scale == "paper" and r.status == "ok"})
    return published.lines(records, [r for found in recipes.of(models).values() for r in found])


def write_summary(root: Path, records: list[Record]) -> None:
    """summary.md, summary.csv and summary.json in the run folder."""
    made = tables.pivot(records)
    by_labels = label_counts.markdown(label_counts.tables(label_counts.curves(records)))
    beside = published.markdown(beside_papers(records))
    write_atomic(root / "summary.md", "\n".join(t for t in (by_labels, beside, tables.markdown(made, records)) if t))
    write_atomic(root / "summary.csv", tables.csv_text(made))
    write_atomic(root / "summary.json", json.dumps(as_data(records), indent=1, allow_nan=False) + "\n")
