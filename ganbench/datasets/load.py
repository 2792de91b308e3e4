"""One way from a name to a data set: `load("mnist")`, `load("folder:PATH")`, `load("folder[resize=32]:PATH")`."""

from __future__ import annotations

import os
from pathlib import Path

from ganbench.datasets.base import Dataset, Source
from ganbench.errors import BadConfig, BadInput
from ganbench.registry import DATASETS
from ganbench.registry.variants import single


def load(name: str, root: Path | str | None = None, download: bool = False) -> Dataset:
    """The data set `name`, read from `root` or, without one, from the directory in GANBENCH_DATA.

    Raises `UnknownName` with near matches, `MissingResource` where files are absent, `BadInput` for unusable files.
    """
    entry = DATASETS.get(name)
    stem, _, argument = name.partition(":") if entry.prefix else (name, "", None)
    options = {} if argument is None else single(stem)[1]
    if options and not entry.options:
        raise BadConfig(f"{entry.name} takes no options; got {stem}")
    if argument == "":
        raise BadInput(f"{name} needs a path, as in {name}:PATH")
    if root is None:
        root = os.environ.get("GANBENCH_DATA") or None
    make = entry.load()
    made: Dataset = make(Source(None if root is None else Path(root), argument, options, download))
    return made
