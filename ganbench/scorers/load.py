"""One way from a name to a scorer: `load_scorer("mnist_cnn")`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganbench.data import Mixture
from ganbench.errors import BadConfig, NotApplicable
from ganbench.registry import SCORERS
from ganbench.scorers.base import Scorer


def load_scorer(name: str, weights: Path | str | None = None, mixture: Mixture | None = None) -> Scorer:
    """The scorer `name`; `weights` is a file for scorers that ship none, `mixture` the data set's exact density.

    Raises `UnknownName`, `MissingResource` where weights are absent, `BadInput` where they are not what the card pins,
    `NotApplicable` where a mixture is needed and the data has none, `BadConfig` for weights nobody asked for.
    """
    entry = SCORERS.get(name)
    if weights is not None and not entry.needs_weights:
        raise BadConfig(f"{name} takes no weights: its own are pinned by their hash; leave out --scorer-weights")
    if entry.needs_mixture and mixture is None:
        raise NotApplicable(f"{name} needs data with an exact mixture density; this data set has none")
    cls: Any = entry.load()
    made: Scorer
    if entry.needs_mixture:
        made = cls(mixture)
    elif entry.needs_weights:
        made = cls(None if weights is None else Path(weights))
    else:
        made = cls()
    return made
