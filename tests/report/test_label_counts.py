"""Errors over numbers of labels, and ensembles of classifiers that saw the same labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from ganbench.errors import BadInput
from ganbench.jobs import ensembles
from ganbench.jobs.records import SCHEMA, MetricRow, Record, RunFolder
from ganbench.jobs.spec import Job, JobSpec
from ganbench.report import label_counts
from ganbench.report.table import lines
from ganbench.scoring.ensembles import read_logits


def record(model: str, seed: int, scores: dict[str, float], **extra: Any) -> Record:
    spec = JobSpec(
        model=model, dataset="d", scale="quick", seed=seed, metrics=("classification_error",), n_samples=10, **extra
    )
    rows = [MetricRow(name=k, value=v, n=10, signature="c", direction="min") for k, v in scores.items()]
    return Record(schema=SCHEMA, job_id=spec.job_id, spec=spec, status="ok", metrics=rows, timing={"train_s": 2.0})


def test_classifiers_and_frozen_features_stand_in_one_table() -> None:
    records = [
        *(record("gan", s, {"svm_error_50": 0.3, "svm_error_100": 0.25 + s / 4, "mmd": 1.0}) for s in range(3)),
        *(record("few", s, {"classification_error": 0.1, "classification_error_last": 0.2}, labels=50) for s in (0, 1)),
        record("unsaid", 0, {"classification_error": 0.1}),
    ]
    found = label_counts.curves(records)
    assert {c.method: c.errors for c in found} == {
        "gan + L2-SVM": {50: [0.3] * 3, 100: [0.25, 0.5, 0.75]},
        "few": {50: [0.1, 0.1]},
        "few, last weights": {50: [0.2, 0.2]},
    }
    (table,) = label_counts.tables(found)
    header, first, second, _ = lines(table)
    assert header == ["method", "50 labels", "100 labels"]
    assert first == ["gan + L2-SVM", "3000.0 [3000.0, 3000.0] 30.00 %", "5000.0 [-1210.3, 11210.3] 50.00 %"]
    assert second == ["few", "1000.0 10.00 % (n = 2)", "–"]
    assert "| few | 1000.0 10.00 % (n = 2) | – |" in " ".join(label_counts.markdown([table]).split())
    assert json.loads(json.dumps(label_counts.json_ready(found)))[1]["errors"] == {"50": [0.1, 0.1]}


def test_runs_without_label_counts_have_no_such_table() -> None:
    assert label_counts.markdown(label_counts.tables(label_counts.curves([record("gan", 0, {"mmd": 1})]))) == ""


Y = np.arange(12) % 3


def run_of(tmp_path: Path, members: list[Record], logits: list[np.ndarray[Any, Any]]) -> Path:
    root = tmp_path / "run"
    with RunFolder.create(root, {"suite": "x"}) as folder:
        folder.set_plan([Job(m.spec, m.spec.model, "d") for m in members])
        for member, values in zip(members, logits, strict=True):
            folder.write(member)
            np.savez_compressed(folder.job_folder(member.spec) / ensembles.LOGITS, logits=values, y=Y)
    return root


def noisy(seed: int, noise: float = 2.0) -> np.ndarray[Any, Any]:
    return 2 * np.eye(3, dtype=np.float32)[Y] + noise * np.random.default_rng(seed).normal(size=(12, 3))


def test_an_ensemble_averages_probabilities_of_seeds_that_saw_the_same_labels(tmp_path: Path) -> None:
    members = [record("few", s, {"classification_error": 0.5}, labels=6, draw=d) for d in (0, 1) for s in range(4)]
    logits = [noisy(i) for i in range(8)]
    made = ensembles.ensembles(run_of(tmp_path, members, logits), 3)
    assert [r.spec.seed for r in made] == [0, 1]
    assert {r.spec.row for r in made} == {"few[ensemble=3,labels=6]"}
    mean = np.mean([softmax(x, 1) for x in logits[:3]], 0)
    assert made[0].metrics[0].value == pytest.approx(float((mean.argmax(1) != Y).mean()))
    assert made[0].metrics[0].signature == "classification|K=3|m=12|v1"
    assert made[0].timing == {"train_s": 6.0}
    assert made[0].members == [m.job_id for m in members[:3]]
    assert {c.method: list(c.errors) for c in label_counts.curves(made)} == {"few[ensemble=3]": [6]}


def test_one_member_repeated_is_the_member_itself(tmp_path: Path) -> None:
    members = [record("few", s, {"classification_error": 0.5}, labels=6, draw=0) for s in range(2)]
    (both,) = ensembles.ensembles(run_of(tmp_path, members, [noisy(0), noisy(0)]))
    assert both.metrics[0].value == pytest.approx(float((noisy(0).argmax(1) != Y).mean()))


@pytest.mark.parametrize(
    ("extra", "size", "message"),
    [
        ({"labels": 6}, None, "each seed saw labels of its own; run with --label-draws"),
        ({"labels": 6, "draw": 0}, 10, r"few\[draw=0,labels=6\] on d: 2 seeds, 10 wanted"),
    ],
)
def test_what_is_no_ensemble_is_refused(tmp_path: Path, extra: dict[str, int], size: int | None, message: str) -> None:
    members = [record("few", s, {"classification_error": 0.5}, **extra) for s in range(2)]
    root = run_of(tmp_path, members, [noisy(0), noisy(1)])
    with pytest.raises(BadInput, match=message):
        ensembles.ensembles(root, size)


def test_damaged_and_foreign_logits_are_refused(tmp_path: Path) -> None:
    members = [record("few", s, {"classification_error": 0.5}, labels=6, draw=0) for s in range(2)]
    with pytest.raises(BadInput, match="same test set"):
        ensembles.ensembles(run_of(tmp_path, members, [noisy(0), np.zeros((12, 4))]))
    file = tmp_path / "x" / "logits.npz"
    file.parent.mkdir()
    file.write_bytes(b"PK\x03\x04nonsense")
    with pytest.raises(BadInput, match="holds no logits"):
        read_logits(file)
    np.savez(file, logits=np.full((2, 3), np.nan), y=np.zeros(2, int))
    with pytest.raises(BadInput, match="finite logits"):
        read_logits(file)
