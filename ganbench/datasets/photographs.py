"""Photographs for super-resolution: patches of the pictures that scikit-image and scikit-learn ship, and small ones.

Models learn from scikit-image's (extra `[photographs]`) and are tested on scikit-learn's two; files are read by path,
nothing of scikit-image is imported. Flat patches, such as sky, are left out: any method enlarges them.

Shapes      N patches, 32x32 pixels, 3 channels.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench import seeding
from ganbench.data import Condition, Split
from ganbench.datasets.base import Dataset, Source, assemble, dataset
from ganbench.datasets.derived import pixels
from ganbench.errors import MissingResource

VERSION = 1
SIDE, STEP = 32, 16  # of patches, and from one to the next in training pictures; those of the test do not overlap
LEAST = 8.0  # grey levels that a patch's pixels must deviate by
TRAIN = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
TEST = ("china.jpg", "flower.jpg")


@dataset(
    "half_photographs",
    event="image",
    iterations={"smoke": 100, "quick": 500, "standard": 5000},
    cond="image",
    extra="photographs",
)
def half_photographs(source: Source) -> Dataset:
    """32x32 colour patches of photographs from a half of their side."""
    return photographs("half_photographs", 2)


@dataset(
    "fourth_photographs",
    event="image",
    iterations={"smoke": 100, "quick": 500, "standard": 5000},
    cond="image",
    extra="photographs",
)
def fourth_photographs(source: Source) -> Dataset:
    """32x32 colour patches of photographs from a fourth of their side."""
    return photographs("fourth_photographs", 4)


def photographs(name: str, factor: int) -> Dataset:
    """Patches and their box means, `factor` times smaller. Raises `MissingResource` where a package is not here."""
    learnt = torch.cat([patches(read(path), STEP) for path in shipped("skimage", "data", TRAIN)])
    test = torch.cat([patches(read(path), SIDE) for path in shipped("sklearn", "datasets/images", TEST)])
    order = torch.randperm(len(learnt), generator=seeding.stream("data", "photographs", f"v{VERSION}", "split"))
    held = len(learnt) // 5

    def pair(x: Tensor) -> Split:
        return Split(x, cond=pixels(F.avg_pool2d(x.float() / 127.5 - 1, factor)))

    cond = Condition("image", (3, SIDE // factor, SIDE // factor))
    parts = (pair(learnt[order[held:]]), pair(learnt[order[:held]]), pair(test))
    return assemble(name, *parts, domain=(-1, 1), cond=cond, version=VERSION)


def shipped(package: str, folder: str, names: tuple[str, ...]) -> list[Path]:
    """Paths of a package's pictures. Raises `MissingResource`."""
    spec = importlib.util.find_spec(package)
    root = Path(spec.submodule_search_locations[0]) / folder if spec and spec.submodule_search_locations else Path()
    paths = [root / name for name in names]
    missing = [path.name for path in paths if spec is None or not path.is_file()]
    if missing:
        raise MissingResource(
            f"photographs: {', '.join(missing)} of the package {package} are not here; get them with "
            '`pip install "ganbench[photographs]"`'
        )
    return paths


def read(path: Path) -> Tensor:
    """A picture as (3, H, W) uint8."""
    from PIL import Image

    with Image.open(path) as picture:
        return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)


def patches(picture: Tensor, step: int) -> Tensor:
    """All patches at multiples of `step` that are not flat: (3, H, W) -> (N, 3, 32, 32)."""
    found = picture.unfold(1, SIDE, step).unfold(2, SIDE, step).permute(1, 2, 0, 3, 4).reshape(-1, 3, SIDE, SIDE)
    return found[found.float().mean(1).flatten(1).std(1) >= LEAST].contiguous()
