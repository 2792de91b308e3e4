"""One way from what a metric asks for to its scores, whoever brought the samples.

`Provider` knows what follows from sets of events: what a scorer sees in them, the space that distances look at, the
streams of draws. Where sets come from its two kinds say: `Inputs`, of a data set with a trained model or samples, and
`Given`, of anybody's arrays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from ganbench import seeding
from ganbench.errors import BadInput, GanbenchError, NotApplicable
from ganbench.metrics.base import Score
from ganbench.metrics.door import fresh_torch
from ganbench.registry import MetricInfo
from ganbench.scorers.base import Linear, Scorer, in_batches


class Provider:
    """The arguments that metrics may ask for, each made when first asked for and kept for the next metric."""

    def __init__(self, streams: tuple[object, ...]) -> None:
        self.streams = streams  # what random draws depend on, beside the metric's name
        self._made: dict[Any, Any] = {}

    @property
    def scorer(self) -> Scorer | None:
        """What metrics look through. Raises `MissingResource` when its weights are not here."""
        raise NotImplementedError

    def brought(self, need: str) -> Any:
        """An input that does not follow from others. Raises `NotApplicable` with the reason when there is none."""
        raise NotImplementedError

    def real(self, entry: MetricInfo) -> Provider | None:
        """The same with unseen real events in place of the samples; None where the metric cannot have a floor."""
        raise NotImplementedError

    def get(self, need: str, entry: MetricInfo) -> Any:
        """The input `need` for the metric `entry`. Raises `NotApplicable` with the reason when there is none."""
        if need == "rng":
            return seeding.stream("metrics", *self.streams, entry.name)
        if need == "space":
            if entry.looks_through and self.scorer:
                return self.scorer.signature
            return "given" if any("probs" in n for n in entry.needs) else "x"
        return self.of(need)

    def of(self, need: str) -> Any:
        """An input that is the same for every metric."""
        shelf, key = self.shelf(need)
        if key not in shelf:
            shelf[key] = self._seen(need)
        return shelf[key]

    def shelf(self, need: str) -> tuple[dict[Any, Any], Any]:
        """Where an input is kept once it is made, and under which key."""
        return self._made, need

    def _seen(self, need: str) -> Any:
        """Posteriors and features of a set of events, which without a scorer are features themselves."""
        method = next((m for m in ("probs", "features") if need.endswith(m)), None)
        if method is None:
            return self.brought(need)
        events = self.of(need.removesuffix(method).removesuffix("_") or "samples")
        if events is None or (method == "probs" and self.scorer is None):
            return self.brought(need)
        if self.scorer is None:
            return events.flatten(1)
        if method == "probs" and isinstance(self.scorer, Linear):
            return self.scorer.posteriors(self.of(need.removesuffix("probs") + "features"))
        return in_batches(getattr(self.scorer, method), events)


def call(entry: MetricInfo, inputs: Provider, options: Mapping[str, Any] | None = None) -> list[Score]:
    """Call one metric with the inputs it names; several scores or one come back as a list.

    Raises `BadInput` for options that it does not have.
    """
    options = options or {}
    function = entry.load()
    for name in set(options) & set(entry.needs):
        raise BadInput(f"options for {entry.name}: {name} is an input; pass it to evaluate itself")
    with fresh_torch(), torch.no_grad():
        arguments = {need: inputs.get(need, entry) for need in entry.needs}
    try:
        result = function(**arguments, **options)
    except TypeError as error:
        if options and "unexpected keyword argument" in str(error):
            raise BadInput(f"options for {entry.name}: {str(error).split('()', 1)[-1].strip()}") from None
        raise
    scores = list(result) if isinstance(result, list | tuple) else [result]
    for score in scores:
        if not isinstance(score, Score):
            raise TypeError(f"a metric returns Score or a list of Score; got {type(score).__name__}")
    return scores


def floors(entry: MetricInfo, inputs: Provider, options: Mapping[str, Any] | None = None) -> dict[str, Score]:
    """The metric's scores of unseen real events in place of samples, by name; empty where they cannot be computed."""
    real = inputs.real(entry)
    if real is None:
        return {}
    try:
        return {s.name: s for s in call(entry, real, options) if math.isfinite(s.value)}
    except GanbenchError:
        return {}


def there(value: Any, reason: str) -> Any:
    """The value. Raises `NotApplicable` with the reason where it is None."""
    if value is None:
        raise NotApplicable(reason)
    return value
