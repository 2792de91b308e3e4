"""Ensembles: the mean class probabilities of one model's training seeds, from the test logits that runs keep.

Members must have seen the same labels (`ganbench run --label-draws`): seeds that each draw their own would together see
as many times more labels as there are members. Every draw gives one ensemble, so a row of them has an interval over
draws, as the table of Salimans et al. 2016 (arXiv:1606.03498, table 1) has.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from ganbench.errors import BadInput
from ganbench.files import finite
from ganbench.jobs.records import SCHEMA, MetricRow, Record, RunFolder
from ganbench.metrics.semi_supervised import error_score
from ganbench.registry import METRICS

LOGITS = "logits.npz"
Array = NDArray[Any]


def ensembles(root: Path, size: int | None = None) -> list[Record]:
    """A record for each model, data set, number of labels and draw of a run: its first `size` seeds, or all.

    Raises `BadInput` with the reason when a run holds no ensemble.
    """
    folder = RunFolder.open(root)
    groups: dict[tuple[str, str, str], list[Record]] = {}
    reasons = []
    for record in folder.records():
        if record.status == "ok" and (folder.job_folder(record.spec) / LOGITS).is_file():
            groups.setdefault((record.spec.row, record.spec.dataset, record.spec.scale), []).append(record)
    made = []
    for (row, dataset, _), members in groups.items():
        members = sorted(members, key=lambda r: r.spec.seed)[:size]
        if members[0].spec.draw is None:
            reasons.append(f"{row} on {dataset}: each seed saw labels of its own; run with --label-draws")
        elif len(members) < (size or 2):
            reasons.append(f"{row} on {dataset}: {len(members)} seeds, {size or 2} wanted")
        else:
            made.append(_record(folder, members))
    if not made:
        raise BadInput("no ensemble: " + ("; ".join(reasons) or "no job kept the logits of a classifier"))
    return made


def _record(folder: RunFolder, members: list[Record]) -> Record:
    probs, truth = mean_probabilities(read_logits(folder.job_folder(r.spec) / LOGITS) for r in members)
    metric = next(entry.name for entry in METRICS if entry.by_labels == "seen")
    score = error_score(metric, probs.argmax(1), truth, probs.shape[1])
    first = members[0].spec
    spec = first.but(draw=None, seed=first.draw, metrics=(metric,), ensemble=len(members))
    row = {k: v for k, v in finite(vars(score)).items() if k in MetricRow.model_fields}
    seconds = sum(r.timing.get("train_s", 0.0) for r in members)
    return Record(
        schema=SCHEMA,
        job_id=spec.job_id,
        status="ok",
        spec=spec,
        metrics=[MetricRow(**row)],
        timing={"train_s": seconds},
        members=[r.job_id for r in members],
    )


def mean_probabilities(members: Iterator[tuple[Array, Array]]) -> tuple[Array, Array]:
    """The mean over members of softmax(logits) (M, K), and the labels (M,) they share. Raises `BadInput`."""
    total, labels, count = np.zeros(0), np.zeros(0, int), 0
    for logits, y in members:
        if count and (logits.shape != total.shape or not np.array_equal(y, labels)):
            raise BadInput(f"members must classify the same test set; got {total.shape} and {logits.shape} logits")
        probs = softmax(logits.astype(np.float64), 1)
        total, labels, count = (total + probs if count else probs), y, count + 1
    return total / count, labels


def read_logits(path: Path) -> tuple[Array, Array]:
    """Test logits (M, K) and labels (M,) as `ganbench.jobs.keep` wrote them. Raises `BadInput` for another file."""
    try:
        with np.load(path, allow_pickle=False) as held:
            logits, y = held["logits"], held["y"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path.parent.name}/{path.name} holds no logits: {type(error).__name__}") from None
    if logits.ndim != 2 or y.shape != logits.shape[:1] or not np.isfinite(logits).all():
        raise BadInput(f"{path.parent.name}/{path.name} must hold finite logits (M, K) and labels (M,)")
    return logits, y
