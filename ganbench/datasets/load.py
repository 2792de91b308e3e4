"""One way from a name to a data set: `load("mnist")`, `load("folder:PATH")`, `load("array:PATH")`."""

from __future__ import annotations

import os
from pathlib import Path

from ganbench.datasets.base import Dataset, Source
from ganbench.errors import BadInput
from ganbench.registry import DATASETS


def load(name: str, root: Path | str | None = None, download: bool = False) -> Dataset:
    """The data set `name`, read from `root` or, without one, from the directory in GANBENCH_DATA.

    Raises `UnknownName` with near matches, `MissingResource` where files are absent, `BadInput` for unusable files.
    """
    entry = DATASETS.get(name)
    argument = name.partition(":")[2] if entry.prefix else None
    if argument == "":
        raise BadInput(f"{name} needs a path, as in {name}:PATH")
    if root is None:
        root = os.environ.get("GANBENCH_DATA") or None
    make = entry.load()
    made: Dataset = make(Source(None if root is None else Path(root), argument, download))
    return made
