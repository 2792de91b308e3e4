"""Sliced Wasserstein distance between patches of a Laplacian pyramid: how alike images are at each scale.

Karras et al. 2018 (arXiv:1710.10196): per level, 7x7 patches normalised per channel over the set, W1 along random
directions, times 1000.
Departures  directions are orthogonal; patch positions are shared by both sets, so equal sets score 0; levels go down to
            16 pixels or, for smaller images, are the image alone; any number of channels; odd sizes; a constant channel
            stays at zero instead of being divided by zero.
Shapes      N images, C channels, H, W pixels, P patches an image, L directions.
"""

from __future__ import annotations

from functools import reduce
from operator import add

import torch
from torch import Tensor
from torch.nn import functional

from ganbench.errors import BadInput
from ganbench.metrics.base import Score, check_sets, metric, signature
from ganbench.metrics.sliced import error_directions
from ganbench.ops.pairwise import precision_name, slices
from ganbench.ops.sliced import potentials, random_directions, sliced_wasserstein

PATCH = 7


@metric("lp_swd", direction="min", degree=0, bounds=(0, None))
def lp_swd(
    samples: Tensor,
    reference: Tensor,
    *,
    rng: torch.Generator,
    n_directions: int = 512,
    patches: int = 128,
    min_side: int = 16,
) -> Score:
    """Mean over pyramid levels of the sliced W1 between patches of images (N, C, H, W) and (M, C, H, W), times 1000.

    `extra["levels"]` holds the value of each level, by side. `se` is the spread of the value over draws of both sets,
    to first order, from the potentials of an image's patches along 100 of the directions at most; it takes the
    normalisation as given. `extra["se_over_directions"]` is the error of the number of directions, for these images
    and patches. Raises `BadInput` for anything but images of at least 7x7 pixels.
    """
    check_sets(samples=samples, reference=reference)
    if samples.ndim != 4 or min(samples.shape[2:]) < PATCH:
        raise BadInput(f"samples must be images (N, C, H, W) of at least {PATCH}x{PATCH}; got {tuple(samples.shape)}")
    x, y = (s.float() if s.dtype in (torch.float16, torch.bfloat16) else s for s in (samples, reference))
    directions = random_directions(n_directions, x.shape[1] * PATCH**2, rng, dtype=x.dtype).to(x.device)
    least = 1e-6 * float(torch.maximum(x.abs().max(), y.abs().max()))
    levels: dict[str, float] = {}
    over_directions, found = 0.0, []
    for a, b in zip(laplacian_pyramid(x, min_side), laplacian_pyramid(y, min_side), strict=True):
        at = patch_positions(max(len(a), len(b)), patches, a.shape[2], a.shape[3], rng).to(x.device)
        a_rows, b_rows = descriptors(a, at[: len(a)], least), descriptors(b, at[: len(b)], least)
        costs = sliced_wasserstein(a_rows, b_rows, directions, p=1)
        levels[f"{a.shape[2]}x{a.shape[3]}"] = 1000 * float(costs.mean())
        over_directions += 1e6 * float(costs.var()) / len(costs)
        found.append(potentials(a_rows, b_rows, directions[list(error_directions(n_directions))], p=1, rows=patches))
    value = sum(levels.values()) / len(levels)
    se = 1000 * reduce(add, found).variance(n_directions * len(levels)) ** 0.5
    parts = (
        f"L={n_directions}",
        f"patches={patches}",
        f"min={min_side}",
        f"n={len(x)}",
        f"m={len(y)}",
        "x",
        precision_name(x),
    )
    extra = {"levels": levels, "se_over_directions": over_directions**0.5 / len(levels)}
    return Score("lp_swd", value, len(x), signature("lp_swd", *parts), "min", se=se, extra=extra)


def laplacian_pyramid(x: Tensor, min_side: int = 16) -> list[Tensor]:
    """Band-pass levels from fine to coarse and the low-pass rest: images (N, C, H, W) -> levels that add up to them."""
    levels = []
    while min(x.shape[2:]) >= 2 * min_side:
        small = _down(x)
        levels.append(x - _up(small, x.shape[2], x.shape[3]))
        x = small
    return [*levels, x]


def reconstruct(levels: list[Tensor]) -> Tensor:
    """The images a pyramid came from."""
    x = levels[-1]
    for level in reversed(levels[:-1]):
        x = level + _up(x, level.shape[2], level.shape[3])
    return x


def _blur(x: Tensor) -> Tensor:
    """The binomial filter (1 4 6 4 1)/16 in both directions, mirrored at the border."""
    tap = x.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    n, c, h, w = x.shape
    padded = functional.pad(x, (2, 2, 2, 2), mode="reflect").reshape(n * c, 1, h + 4, w + 4)
    return functional.conv2d(functional.conv2d(padded, tap.view(1, 1, 5, 1)), tap.view(1, 1, 1, 5)).view(n, c, h, w)


def _down(x: Tensor) -> Tensor:
    return _blur(x)[:, :, ::2, ::2]


def _up(x: Tensor, height: int, width: int) -> Tensor:
    spread = x.new_zeros(*x.shape[:2], height, width)
    spread[:, :, ::2, ::2] = 4 * x
    return _blur(spread)


def patch_positions(n: int, patches: int, height: int, width: int, rng: torch.Generator) -> Tensor:
    """Top-left corners of patches, uniform: -> (N, P, 2)."""
    rows = torch.randint(height - PATCH + 1, (n, patches), generator=rng, device=rng.device)
    columns = torch.randint(width - PATCH + 1, (n, patches), generator=rng, device=rng.device)
    return torch.stack([rows, columns], 2)


def descriptors(x: Tensor, corners: Tensor, least: float = 1e-6) -> Tensor:
    """Patches at corners (N, P, 2), each channel of mean 0 and deviation 1 over the set: (N, *E) -> (N P, C 49).

    A channel whose deviation is below `least` is constant but for rounding, and stays at zero.
    """
    n, p = corners.shape[:2]
    out = x.new_empty(n, p, x.shape[1], PATCH, PATCH)
    offset = torch.arange(PATCH, device=x.device)
    for i in slices(n, 256):
        image = torch.arange(i.start, i.stop, device=x.device).view(-1, 1, 1, 1)
        row = corners[i, :, 0, None, None] + offset.view(1, 1, PATCH, 1)
        column = corners[i, :, 1, None, None] + offset.view(1, 1, 1, PATCH)
        out[i] = x.movedim(1, -1)[image, row, column].movedim(-1, 2)
    mean = out.double().mean((0, 1, 3, 4), keepdim=True).to(out.dtype)
    out -= mean
    deviation = out.square().mean((0, 1, 3, 4), keepdim=True).sqrt()
    out /= torch.where(deviation > least, deviation, torch.ones_like(deviation))
    return out.view(n * p, -1)
