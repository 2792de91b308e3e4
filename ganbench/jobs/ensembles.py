"""Ensembles: the mean class probabilities of one model's training seeds, from the test logits that runs keep.

Members must have seen the same labels (`ganbench run --label-draws`): seeds that each draw their own would together see
as many times more labels as there are members. Every draw gives one ensemble, so a row of them has an interval over
draws, as the table of Salimans et al. 2016 (arXiv:1606.03498, table 1) has.
"""

from __future__ import annotations

from pathlib import Path

from ganbench.errors import BadInput
from ganbench.files import finite
from ganbench.jobs.records import SCHEMA, MetricRow, Record, RunFolder
from ganbench.scoring.ensembles import error_of_mean

LOGITS = "logits.npz"


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
    score = error_of_mean(folder.job_folder(r.spec) / LOGITS for r in members)
    first = members[0].spec
    spec = first.but(draw=None, seed=first.draw, metrics=(score.name,), ensemble=len(members))
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
