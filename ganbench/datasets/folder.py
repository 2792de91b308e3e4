"""Any folder of PNG or JPEG images as a data set, `folder:PATH`: with class folders, and with train/, test/ and val/.

The order is that of the sorted names, and what is not already split is split by a fixed seed, so the same folder gives
the same splits everywhere. All images must have one size; nothing is resized or cropped behind the user's back. Asked
for, it is part of the data's name: `folder[resize=32,crop=centre]:PATH`.
"""

from __future__ import annotations

from pathlib import Path

import torch

from ganbench.datasets.base import Dataset, Source, assemble, dataset, split_finite
from ganbench.datasets.layout import Pictures, find_splits
from ganbench.datasets.pictures import Framing, read_pictures
from ganbench.errors import BadInput
from ganbench.registry.variants import with_options


@dataset("folder", event="image", prefix=True, options=True)
def folder(source: Source) -> Dataset:
    """Images in PATH, in class folders PATH/CLASS, or in PATH/train, PATH/test and, for the holdout, PATH/val."""
    root = Path(source.argument or "")
    if not root.is_dir():
        raise BadInput(f"folder:PATH needs an existing folder of images; {root.name or root} is none")
    framing = Framing.of(dict(source.options))
    found = find_splits(root)
    paths = [path for part in found.values() for path in part.paths]
    pixels = torch.from_numpy(read_pictures(paths, root, framing=framing))
    sizes = [len(part.paths) for part in found.values()]
    x = dict(zip(found, pixels.split(sizes), strict=True))
    y = {name: _labels(part) for name, part in found.items()}
    if "all" in x:
        train, holdout, test = split_finite(x["all"], y["all"], parts=3)
    else:  # given parts are shuffled: metrics that cut samples up refuse sorted classes
        (test,) = split_finite(x["test"], y["test"], parts=1)
        if "val" in x:
            (train,), (holdout,) = (split_finite(x[name], y[name], parts=1) for name in ("train", "val"))
        else:
            train, holdout = split_finite(x["train"], y["train"], parts=2)
    classes = next(iter(found.values())).classes
    name = f"{with_options('folder', source.options)}:{root.resolve().name}"
    return assemble(name, train, holdout, test, domain=(-1, 1), n_classes=len(classes) or None)


def _labels(part: Pictures) -> torch.Tensor | None:
    """(N,) int64, or None where pictures lie loose."""
    return torch.tensor(part.labels) if part.classes else None
