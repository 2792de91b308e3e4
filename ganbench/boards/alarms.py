"""Claims against what was measured, and alarms for scores that are too good to be true."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from ganbench.boards.board import Board
from ganbench.boards.submission import Submission
from ganbench.errors import BadInput
from ganbench.jobs.records import MetricRow, Record
from ganbench.registry import MODELS
from ganbench.stats import estimate

ALARM = 4.0  # standard errors: chance alone goes so far once in 16,000 times where they are well known
SAME = 0.01  # relative difference at which a claim still counts as confirmed


def confirm_claims(submission: Submission, records: Sequence[Record]) -> None:
    """Claimed means against measured ones. Raises `BadInput` for the first that differs.

    The same samples must give the same value to 1 %; redrawn or retrained ones may differ by four standard errors more.
    """
    for claim in submission.claimed:
        values = _values(records, claim.dataset, claim.metric)
        if not values:
            raise BadInput(f"claimed {claim.metric} on {claim.dataset} was not measured: no samples for it")
        e = estimate(values)
        room = SAME * max(abs(e.mean), usual_error(records, claim.dataset, claim.metric))
        if submission.tier != "samples" and e.sd is not None:
            room += 4 * e.sd / math.sqrt(e.n)
        if abs(e.mean - claim.value) > room:
            raise BadInput(
                f"claimed {claim.metric} = {claim.value:.6g} on {claim.dataset}; measured {e.mean:.6g} "
                f"over {e.n} seeds: state what `ganbench score` prints, or send the samples that gave it"
            )


def better_than_real(board: Board, measured: Sequence[Record], own: Sequence[Record]) -> Iterator[str]:
    """Alarms for every metric on which a submission beats real data by more than chance.

    Real data is what the board's oracle rows show, and beside each score the floor: the same metric of unseen real
    events. A floor is one draw, so its error counts like that of one seed; on finite data the oracle is one set of
    events, whatever the seed: then sampling error is all its error.
    """
    oracles = {e.name for e in MODELS if e.role == "oracle"}
    oracle = [r for r in own if r.spec.model in oracles]
    for task in board.tasks:
        for m in board.metrics:
            values = _values(measured, task.dataset, m.name)
            real = _values(oracle, task.dataset, m.name)
            floor = _floor(measured, task.dataset, m.name)
            if not values or (len(real) < 2 and floor is None):
                continue
            errors = [usual_error(rows, task.dataset, m.name) for rows in (measured, oracle)]
            sd = max(*errors, *(float(np.std(v, ddof=1)) for v in (values, real) if len(v) > 1))
            sign = 1.0 if m.direction == "min" else -1.0
            known = [(float(np.mean(real)), len(real))] if len(real) > 1 else []
            known += [] if floor is None else [(floor, 1)]
            for best, n in known:
                lead = sign * (best - float(np.mean(values)))
                if lead > ALARM * sd * math.sqrt(1 / len(values) + 1 / n) and lead > SAME * abs(best):
                    yield (
                        f"better than real data on {task.dataset}: {m.name} {np.mean(values):.4g} against {best:.4g}; "
                        "look for a leak, or for samples narrower than the data"
                    )
                    break


def _floor(records: Sequence[Record], dataset: str, metric: str) -> float | None:
    """The real-versus-real floor at the samples' own size."""
    return next((m.floor for m in _scores(records, dataset, metric) if m.floor is not None and m.floor_n == m.n), None)


def usual_error(records: Sequence[Record], dataset: str, metric: str) -> float:
    """The largest standard error of a metric's values: what "small" means for a metric that can be zero."""
    return max((m.se for m in _scores(records, dataset, metric) if m.se), default=1e-6)


def _values(records: Sequence[Record], dataset: str, metric: str) -> list[float]:
    return [m.value for m in _scores([r for r in records if r.status == "ok"], dataset, metric)]


def _scores(records: Sequence[Record], dataset: str, metric: str) -> list[MetricRow]:
    return [m for r in records if r.spec.dataset == dataset and (m := r.score(metric)) is not None]
