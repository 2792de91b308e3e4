"""Edited and completed events: is the change there, is the rest kept, and how far is it from the truth.

Every test event is edited once, one of its attributes turned. Pictures are rendered, so the exact result is known.

Shapes      N test events, M <= N of them inpainted, *E event shape, A attributes, K classes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.errors import BadInput
from ganbench.metrics.base import Score, check_events, check_pair, check_probs, metric, signature
from ganbench.metrics.conditional import check_labels, share_of
from ganbench.metrics.translation import _mean, aligned


@metric("edit_success", direction="max", asks=("edit",), bounds=(0, 1))
def edit_success(edited_measured: Tensor, edit_values: Tensor, turned: Tensor) -> Score:
    """Share of edits whose turned attribute is measured as it was asked for: (N, A), (N, A), (N,) its number.

    A copy has the measurement's error, a random picture with the attribute 1: read it beside `identity_kept`.
    Raises `BadInput` for other shapes.
    """
    right = _right(edited_measured, edit_values, turned).gather(1, turned[:, None]).squeeze(1)
    each = [float(right[turned == a].double().mean()) for a in turned.unique().tolist()]
    score = share_of(right, "edit_success", signature("edit_success", f"n={len(right)}", "pixels"))
    score.extra["attributes"] = each
    return score


@metric("identity_kept", direction="max", asks=("edit",), bounds=(0, 1))
def identity_kept(
    edited_probs: Tensor,
    test_labels: Tensor,
    edited_measured: Tensor,
    edit_values: Tensor,
    turned: Tensor,
    space: str = "probs",
) -> Score:
    """Share of edits that the scorer takes for the class of the event they are made from: (N, K), (N,).

    `extra["others"]` is the share of attributes not asked about that are measured as they were. Raises `BadInput` for
    labels out of step.
    """
    p = check_probs(edited_probs, "edited_probs")
    y = check_labels(test_labels, len(p), p.shape[1], "test_labels")
    right = _right(edited_measured, edit_values, turned)
    others = torch.ones_like(right).scatter(1, turned[:, None], False)
    score = share_of(p.argmax(1) == y, "identity_kept", signature("identity_kept", f"n={len(p)}", space))
    score.extra["others"] = float(right[others].double().mean())
    return score


@metric("edit_l1", direction="min", asks=("edit",), degree=1, power=1, bounds=(0, None))
def edit_l1(edited: Tensor, edit_truth: Tensor) -> Score:
    """Mean absolute difference of a number to the exact counterfactual's: (N, *E), (N, *E)."""
    x, y = aligned(edited, edit_truth, "edited", "edit_truth")
    return _mean("edit_l1", (x.double() - y.double()).abs().mean(1), "min")


@metric("inpaint_error", direction="min", asks=("inpaint",), degree=1, bounds=(0, None))
def inpaint_error(inpainted: Tensor, reference: Tensor, known: Tensor) -> Score:
    """Root mean squared error a number, where an event was unknown: (M, *E), (N, *E), (*E) bool.

    The lower half, from the upper. The mean of all completions has the least, so read it beside `inpaint_agreement`.
    Raises `BadInput` for sets out of step, or where nothing is unknown.
    """
    return _rms("inpaint_error", inpainted, reference, ~known, "inpainted")


@metric("constraint_residual", direction="min", asks=("project",), degree=1, bounds=(0, None))
def constraint_residual(projected: Tensor, reference: Tensor, known: Tensor) -> Score:
    """Root mean squared error a number, where an event was known, of the model's own: (M, *E), (N, *E), (*E) bool."""
    return _rms("constraint_residual", projected, reference, known, "projected")


@metric("inpaint_agreement", direction="max", asks=("inpaint",), bounds=(0, 1))
def inpaint_agreement(inpainted_probs: Tensor, test_labels: Tensor, space: str = "probs") -> Score:
    """Share of completions that the scorer takes for the class of their event: (M, K), (N,) of which the first M.

    An upper half leaves some classes open, so even the best completion stays below the scorer's accuracy. Raises
    `BadInput` for labels out of step.
    """
    p = check_probs(inpainted_probs, "inpainted_probs")
    y = check_labels(test_labels[: len(p)], len(p), p.shape[1], "test_labels")
    return share_of(p.argmax(1) == y, "inpaint_agreement", signature("inpaint_agreement", f"n={len(p)}", space))


def _right(measured: Tensor, wanted: Tensor, turned: Tensor) -> Tensor:
    """Which attributes are as they should be: (N, A), (N, A) -> (N, A) bool. Raises `BadInput` for other shapes."""
    if measured.ndim != 2 or measured.shape != wanted.shape or turned.shape != measured.shape[:1] or not len(turned):
        raise BadInput(
            f"edited_measured and edit_values must be (N, A) and turned (N,); got {tuple(measured.shape)}, "
            f"{tuple(wanted.shape)} and {tuple(turned.shape)}"
        )
    check_labels(turned, len(turned), measured.shape[1], "turned")
    return measured == wanted


def _rms(name: str, made: Tensor, reference: Tensor, where: Tensor, argument: str) -> Score:
    x, y = check_events(made, argument), check_events(reference, "reference")
    check_pair(made, reference, argument, "reference")
    if len(x) > len(y) or where.shape != made.shape[1:] or where.dtype != torch.bool or not bool(where.any()):
        raise BadInput(
            f"{argument} must be at most as many as reference, and known a mask {tuple(made.shape[1:])} with something "
            f"to look at; got {len(x)}, {len(y)} and a mask {tuple(where.shape)} with {int(where.sum())} places"
        )
    squares = (x[:, where.flatten()].double() - y[: len(x), where.flatten()].double()).square().mean(1)
    value, n = math.sqrt(float(squares.mean())), len(x)
    se = float(squares.std()) / math.sqrt(n) / (2 * value) if n > 1 and value > 0 else None  # of a root, to first order
    return Score(name, value, n, signature(name, f"places={int(where.sum())}", f"n={n}"), "min", se)
