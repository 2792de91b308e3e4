"""What every metric returns, what it may ask for, and the checks at its door.

A metric is a pure function under `@metric("mmd", direction="min")`. It is given each argument that has no default, and
`space`, by these names; any other argument is an option. What can be asked for:

samples, reference      (N, *E), (M, *E) generated events and the real test split, float32 in the domain
holdout, train          (N, *E) real events: kept from training and from the reference; what the model trained on
probs, reference_probs  (N, K) class posteriors of samples and reference through the data set's scorer
features, reference_features, train_features   (N, F) the scorer's penultimate features of samples, reference, train
mixture                 the exact `ganbench.data.Mixture` behind the data
sound                   how images stand for waves: `ganbench.ops.spectrograms.Sound`
predicted, future       (N, K, C, H, W) frames that the model says follow those of the test clips, and those that do
answers                 what is true of a density that is given: `ganbench.data.density.Answers`
model                   the trained `Model`: metrics that use encode, features, classify, log_prob or reconstruct
train_labels, test_labels   (N,) int64 labels of train and reference
label_draws             {L: (L,) int64 rows of train}: the labels this seed reveals, for each number of labels asked for
sample_labels           (N,) int64 classes that the samples were asked to be of
translated, translated_probs   (N, *E), (N, K) events made from `cond`, in step with the reference; their posteriors
cond                    (N, *C) conditions of the test split, in step with reference
cycled                  (N, *C) `translated` translated back, for models that can
edited, edit_truth      (N, *E) test events, one attribute turned by the model; the exact counterfactuals
turned, edit_values, edited_measured    (N,) which attribute; (N, A) int64 asked for in all, and those of `edited`
edited_probs            (N, K) posteriors of `edited`
known                   (*E) bool: what inpainting is told of an event
inpainted, projected, inpainted_probs   (M, *E), (M, *E), (M, K) the first M reference events as the model completes
                        them; its own nearest events; posteriors of the former
wanted, measured        (N, A) int64 attributes that `cond` asks for, -1 where it does not; those of `translated`
word_vectors            (V, F) what the model has learnt of each word of the vocabulary
document_vectors        (M, F) its vectors of the test documents, in step with reference
text                    the `ganbench.data.Text` of the data: spellings, rated pairs, analogies
document_ratings        (M, M) how alike people find test documents, in step with reference
space                   what distances look at, for the signature: "x" or the scorer's name and hash
rng                     a `torch.Generator` of the metrics role
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Literal, TypeVar, cast

import torch
from torch import Tensor

from ganbench.errors import BadInput
from ganbench.metrics.door import FLOATS, Door
from ganbench.metrics.score import Direction, Score

__all__ = ["Direction", "Score", "check_events", "check_pair", "check_probs", "check_sets", "metric", "signature"]

Bounds = tuple[float | None, float | None]
F = TypeVar("F", bound=Callable[..., Any])


def metric(
    name: str,
    *,
    direction: Direction,
    returns: tuple[str, ...] = (),  # names of the scores when it returns more than one
    asks: tuple[str, ...] = (),  # capabilities of which a model must have one for the metric to apply
    version: int = 1,
    degree: int | None = None,  # score(s x) = s^degree score(x) when all sets are scaled by s; None: units of its own
    holds_for: dict[str, tuple[Any, ...]] | None = None,  # the values of options under which it has that degree
    power: int | None = 2,  # highest power of the sets' numbers that is formed; None: it keeps to a range by itself
    # What its scores can be at least and at most; by name or glob where they differ.
    bounds: Bounds | dict[str, Bounds] = (None, None),
    smallest: float = 0.0,  # largest number below which a set cannot be told from zeros
    # A test error over numbers of labels: "seen", those that the job's model saw; "frozen", those that the names of its
    # scores end with, of a classifier on the model's frozen features.
    by_labels: Literal["", "seen", "frozen"] = "",
) -> Callable[[F], F]:
    """Register a function as the metric `name`; arguments must be literals, for they are read without importing.

    The function is put behind a `Door`: see `ganbench/metrics/door.py` for what that checks.
    """

    def mark(function: F) -> F:
        door = Door(name, function, degree, power, holds_for or {}, smallest)

        def behind(*args: Any, **kwargs: Any) -> Any:
            return door(*args, **kwargs)

        update_wrapper(behind, function)
        return cast(F, behind)

    return mark


def signature(name: str, *parts: object, version: int = 1) -> str:
    """The signature string: name, then each choice that moves the value, then the version."""
    return "|".join([name, *map(str, parts), f"v{version}"])


def check_events(x: Tensor, argument: str, *, at_least: int = 1) -> Tensor:
    """Samples as a float64-safe matrix (N, D): refuses wrong types, empty sets and non-finite rows, by name.

    Raises `BadInput` that names the argument and, for NaN or infinity, the first bad row.
    """
    if not isinstance(x, Tensor):
        raise BadInput(f"{argument} must be a tensor; got {type(x).__name__}; use torch.as_tensor first")
    if x.layout != torch.strided or x.is_meta:
        raise BadInput(f"{argument} must hold its numbers in full; got {x.layout} on {x.device}; use .to_dense()")
    if x.ndim < 2:
        raise BadInput(f"{argument} must have shape (N, *event); got {tuple(x.shape)}")
    if len(x) < at_least:
        raise BadInput(f"{argument} must hold at least {at_least} rows; got {len(x)}")
    if not x.is_floating_point():
        raise BadInput(
            f"{argument} must be floating point in the data's domain; got {x.dtype}; scale uint8 pixels first"
        )
    if x.dtype not in FLOATS:
        raise BadInput(f"{argument} must be float16, bfloat16, float32 or float64; got {x.dtype}; use .float()")
    flat = x.flatten(1)
    if flat.dtype in (torch.float16, torch.bfloat16):
        flat = flat.float()
    bad = ~torch.isfinite(flat).all(1)
    if bad.any():
        raise BadInput(f"{argument} must be finite; row {int(bad.nonzero()[0])} of {len(x)} holds NaN or infinity")
    return flat


def check_pair(x: Tensor, y: Tensor, x_name: str = "samples", y_name: str = "reference") -> None:
    """Refuses two sets whose events differ in shape, dtype or device. Raises `BadInput`."""
    if x.shape[1:] != y.shape[1:]:
        raise BadInput(
            f"{x_name} and {y_name} must share an event shape; got {tuple(x.shape[1:])} and {tuple(y.shape[1:])}"
        )
    if x.dtype != y.dtype or x.device != y.device:
        raise BadInput(
            f"{x_name} and {y_name} must share dtype and device; got {x.dtype} on {x.device} and {y.dtype} on "
            f"{y.device}; convert one with .to(...)"
        )


def check_sets(*, at_least: int = 1, **sets: Tensor) -> list[Tensor]:
    """Sets of events, under the names of their arguments, as `check_events` returns them; each fits the first.

    Raises `BadInput`.
    """
    matrices = [check_events(x, name, at_least=at_least) for name, x in sets.items()]
    (first, x), *others = sets.items()
    for name, y in others:
        check_pair(x, y, first, name)
    return matrices


def check_probs(probs: Tensor, argument: str = "probs") -> Tensor:
    """Class probabilities (N, K) in float64: rows must be non-negative and sum to one (logits are refused).

    Raises `BadInput` naming the row.
    """
    p = check_events(probs, argument).double()
    if (p < 0).any():
        raise BadInput(
            f"{argument} must be probabilities; row {int((p < 0).any(1).nonzero()[0])} has negatives: logits?"
        )
    off = (p.sum(1) - 1).abs() > 1e-3
    if off.any():
        row = int(off.nonzero()[0])
        raise BadInput(
            f"{argument} rows must sum to 1; row {row} sums to {float(p[row].sum()):.4g}; apply softmax first"
        )
    return p / p.sum(1, keepdim=True)
