"""The plain table: means over seeds, what is missing and why, and the same numbers in every format."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import pytest

from ganbench.jobs.records import SCHEMA, MetricRow, Record
from ganbench.jobs.spec import JobSpec
from ganbench.report import tables
from ganbench.report.table import to_terminal, whole


def record(model: str, seed: int, value: float | None, dataset: str = "d", **more: Any) -> Record:
    spec = JobSpec(model=model, dataset=dataset, scale="smoke", seed=seed, metrics=("fit", "mmd"), n_samples=10)
    rows = []
    if value is not None:
        rows = [
            MetricRow(name="mmd", value=value, n=10, signature="x", direction="min", floor=0.01, floor_n=10),
            MetricRow(name="fit_hq", value=2 * value, n=10, signature="x", direction="max"),
        ]
    status = more.pop("status", "ok" if value is not None else "failed")
    timing = {"train_s": 2.0}
    return Record(schema=SCHEMA, job_id=spec.job_id, spec=spec, status=status, metrics=rows, timing=timing, **more)


RECORDS = [
    record("a", 0, 1.0),
    record("b", 0, 3.0),
    record("a", 1, 2.0),
    record("b", 1, None, reason="train: boom"),
    record("c", 0, None, status="skipped", reason="no labels"),
    record("a", 0, 5.0, dataset="e"),
]


def test_pivot_is_mean_and_standard_deviation_over_seeds() -> None:
    first, second = tables.pivot(RECORDS)
    assert (first.dataset, second.dataset) == ("d", "e")
    assert list(first.columns) == ["fit_hq", "mmd"]  # in the order that the job named them
    assert [r.name for r in first.rows] == ["b", "a"]  # the best by the first score comes first
    cell = first.rows[1].cells["mmd"]
    assert (cell.mean, cell.sd, cell.n) == (1.5, pytest.approx(math.sqrt(0.5)), 2)
    assert first.rows[0].cells["mmd"] == tables.Mean(3.0, None, 1)
    assert (first.rows[0].seeds, first.rows[0].planned) == (1, 2)
    assert first.floors["mmd"].mean == 0.01


def test_configs_are_rows_of_their_own() -> None:
    other = record("a", 0, 9.0)
    other.spec = other.spec.model_copy(update={"config": {"lr": 0.1}})
    (table,) = tables.pivot([record("a", 0, 1.0), other])
    assert [r.name for r in table.rows] == ["a[lr=0.1]", "a"]  # by the first score


def test_label_counts_are_rows_of_their_own() -> None:
    records = [record("few", s, float(s)) for s in (0, 1)]
    for r, labels in zip(records, (50, 100), strict=True):
        r.spec = r.spec.model_copy(update={"labels": labels})
    (table,) = tables.pivot(records)
    assert {r.name: r.cells["mmd"].mean for r in table.rows} == {"few[labels=50]": 0.0, "few[labels=100]": 1.0}
    assert all(r.seeds == r.planned == 1 for r in table.rows)


def test_numbered_scores_stand_in_order() -> None:
    one = record("a", 0, 1.0)
    one.metrics += [MetricRow(name=f"fit_{n}", value=1.0, n=10, signature="x", direction="min") for n in (200, 20, 100)]
    (table,) = tables.pivot([one])
    assert list(table.columns) == ["fit_20", "fit_100", "fit_200", "fit_hq", "mmd"]


def test_troubles_name_status_reason_and_seeds() -> None:
    more = record("b", 2, None, reason="train: boom")
    assert tables.troubles([*RECORDS, more]) == [
        "failed: b/d: train: boom (seeds 1, 2)",
        "skipped: c/d: no labels (seed 0)",
    ]


def test_all_formats_say_the_same() -> None:
    made = tables.pivot(RECORDS)
    rows = list(csv.DictReader(io.StringIO(tables.csv_text(made))))
    assert {r["mean"] for r in rows if (r["dataset"], r["model"], r["metric"]) == ("d", "a", "mmd")} == {"1.5"}
    data = tables.json_ready(made)
    assert data[0]["rows"][1]["metrics"]["mmd"]["mean"] == 1.5
    text = tables.markdown(made, RECORDS)
    printed = [" ".join(line.replace("|", " | ").split()) for line in text.splitlines()]
    assert r"| model | fit\_hq ↑ | mmd ↓ | train s | n |" in printed
    assert "| b | 6 | 3 | 2.0 | 1/2 |" in printed
    assert "| real vs real | – | 0.01000 | | |" in printed
    assert "* failed: b/d: train: boom (seed 1)" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7.6666, "7.667"),
        (8.0, "8"),
        (0.0021234, "0.002123"),
        (1234.5, "1234"),
        (1e-9, "1.000e-09"),
        (-0.5, "-0.5000"),
    ],
)
def test_four_digits(value: float, text: str) -> None:
    assert whole(value) == text


def test_names_cannot_break_a_table() -> None:
    (table,) = tables.pivot([record("a|b", 0, 1.0)])
    assert "a\\|b" in tables.markdown([table], [])


def test_a_wide_table_is_shown_in_parts_that_fit() -> None:
    from rich.console import Console

    (table,) = tables.pivot([record("a", 0, 1.0), record("b", 0, 2.0)])
    for width, parts in ((200, 1), (36, 2)):
        made = to_terminal(tables.shown(table), width)
        assert (len(made) == 1) == (parts == 1)
        out = Console(width=width, file=io.StringIO(), color_system=None)
        for part in made:
            out.print(part)
        text = out.file.getvalue()  # type: ignore[attr-defined]
        assert max(map(len, text.splitlines())) <= width
        assert text.count("fit_hq") == text.count("mmd") == 1
        assert "…" not in text
