"""How well a classifier bears maps of the plane that it was not trained on: affNIST's protocol, made here.

Source      Sabour et al. 2017 (capsules, arXiv:1710.09829), section 5.2; Tieleman's affNIST: digits turned by up to 20
            degrees, sheared by up to 0.2, scaled by 0.8 to 1.2 a side, and shifted.
Shapes      M test events, (C, H, W) event shape, K classes.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.errors import NotApplicable
from ganbench.metrics.base import Score, check_events, metric, signature
from ganbench.metrics.conditional import check_labels, share_of

TURN, SHEAR, SCALE, SHIFT = 20.0, 0.2, (0.8, 1.2), 0.1  # degrees; of a side; to each direction
BATCH = 1000


@metric("affine_error", direction="min", asks=("classify",), bounds=(0, 1))
def affine_error(model: Any, reference: Tensor, test_labels: Tensor, *, rng: torch.Generator) -> Score:
    """Share of affinely moved test images (M, C, H, W) that the model's own head gets wrong, with Wilson's interval.

    `extra["unmoved"]` is its error on the same images as they are. Raises `NotApplicable` for events that are no
    images, `BadInput` for labels out of step.
    """
    check_events(reference, "reference")
    if reference.ndim != 4:
        raise NotApplicable(f"affine maps move images (M, C, H, W); got events of shape {tuple(reference.shape[1:])}")
    moved = move(reference, draw_maps(len(reference), rng))
    wrong = []
    for x in (moved, reference):
        with torch.no_grad():
            logits = torch.cat([model.classify(part) for part in x.split(BATCH)])
        y = check_labels(test_labels, len(logits), logits.shape[1], "test_labels")
        wrong.append(logits.argmax(1) != y)
    text = signature("affine_error", f"turn={TURN:g}", f"shear={SHEAR}", f"n={len(reference)}")
    score = share_of(wrong[0], "affine_error", text, "min")
    score.extra["unmoved"] = float(wrong[1].double().mean())
    return score


def draw_maps(n: int, rng: torch.Generator) -> Tensor:
    """Maps from places in the result to places in the image, both in [-1, 1]: -> (n, 2, 3)."""
    u = torch.rand(n, 6, generator=rng, dtype=torch.float64) * 2 - 1
    turn, shear = u[:, 0] * math.radians(TURN), u[:, 1] * SHEAR
    low, high = SCALE
    scale_x, scale_y = (1 / (low + (high - low) * (u[:, i] + 1) / 2) for i in (2, 3))
    cos, sin = turn.cos(), turn.sin()
    rows = [cos * scale_x, (shear * cos - sin) * scale_y, 2 * SHIFT * u[:, 4]]
    rows += [sin * scale_x, (shear * sin + cos) * scale_y, 2 * SHIFT * u[:, 5]]
    return torch.stack(rows, 1).view(n, 2, 3)


def move(x: Tensor, maps: Tensor) -> Tensor:
    """Images seen through the maps, bilinearly, with their darkest value outside: (M, C, H, W), (M, 2, 3)."""
    grid = F.affine_grid(maps.to(x), list(x.shape), align_corners=False)
    ground = x.amin()
    out: Tensor = F.grid_sample(x - ground, grid, align_corners=False) + ground
    return out
