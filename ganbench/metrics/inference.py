"""What a method says of a density that was given, against what is true of it: moments, evidence, subsets, and the cost.

Source      Effective draws: Kish 1965 of weights, Geyer 1992 of chains.
Shapes      N samples, D dimensions, M subsets.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ganbench.data.density import Answers
from ganbench.errors import NotApplicable
from ganbench.metrics.base import Direction, Score, check_events, metric, signature


@metric(
    "inference",
    direction="min",
    asks=("estimate",),
    returns=("mean_error", "covariance_error", "log_evidence_error", "effective_sample_size", "density_evaluations"),
    bounds=(0, None),
)
def inference(model: Any, answers: Answers) -> list[Score]:
    """Errors of what the method says of the density, in units of the truth, and what that cost.

    `mean_error`: root mean square over axes in which the true law has deviation 1. `covariance_error`: Frobenius
    distance of the covariance there to the identity, over sqrt(D). `log_evidence_error`: absolute, in nats, of those
    that estimate or bound it. `effective_sample_size`: of those that draw. Raises `NotApplicable` where none was given.
    """
    found, d = model.estimate(), len(answers.mean)
    values, axes = torch.linalg.eigh(answers.cov)
    white = axes / values.sqrt()  # (D, D): columns are the true law's axes
    off = white.T @ (found.mean - answers.mean)
    spread = white.T @ found.cov @ white - torch.eye(d, dtype=torch.float64)
    scores = {"mean_error": float(off.norm()) / math.sqrt(d), "covariance_error": float(spread.norm()) / math.sqrt(d)}
    if found.log_evidence is not None:
        scores["log_evidence_error"] = abs(found.log_evidence - answers.log_evidence)
    if found.ess is not None:
        scores["effective_sample_size"] = found.ess
    scores["density_evaluations"] = float(found.evaluations)
    moments = d + d * (d + 1) // 2  # first and second: how many numbers are compared
    return [Score(name, value, moments, signature(name, f"D={d}"), _direction(name)) for name, value in scores.items()]


@metric("subset_error", direction="min", bounds=(0, 1))
def subset_error(samples: Tensor, answers: Answers) -> Score:
    """Total variation between shares of samples with each set of coordinates that are not 0, and the true ones: (N, D).

    Raises `NotApplicable` for a law without such subspaces.
    """
    if answers.subsets is None or answers.probs is None:
        raise NotApplicable("needs a law with mass on coordinates that are exactly 0; this one has none")
    x = check_events(samples, "samples")
    powers = 2 ** torch.arange(x.shape[1])
    code = ((x != 0).long() * powers).sum(1)
    shares = torch.bincount(code, minlength=2 ** x.shape[1]).double() / len(x)
    wrong = shares[(answers.subsets.long() * powers).sum(1)] - answers.probs
    text = signature("subset_error", f"subsets={len(answers.probs)}", f"n={len(x)}")
    return Score("subset_error", 0.5 * float(wrong.abs().sum()), len(x), text, "min")


def _direction(name: str) -> Direction:
    return "max" if name == "effective_sample_size" else "min"
