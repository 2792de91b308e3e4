"""Pictures rendered from a digit and exact attributes, and attributes measured again from the pixels of any picture.

A glyph is a grey digit in [0, 1]. Rendering scales, thickens, places and inks it on a canvas of twice its side, in
exact arithmetic, so that a picture with one attribute changed (its counterfactual) is known to the last bit.

Shapes      N pictures, h side of a glyph, S = 2 h side of a canvas, A attributes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.datasets.derived import INKS

LEVEL = 0.25  # ink from which a pixel counts, of the strongest in the picture
# Read off train digits, for canvases up to 20 pixels and larger ones, whose glyphs have a margin: what share of the
# canvas tells small from large, and how much ink a unit of outline thin from thick.
STEP = {False: 0.62, True: 0.41}
FULLNESS = {False: 1.08, True: 1.0}


@dataclass(frozen=True)
class Attribute:
    """One thing that a picture shows, with the words for its values."""

    name: str
    values: tuple[str, ...]


COLOURS = ("red", "green", "blue", "yellow", "cyan", "purple")  # the first six of `INKS`, which are all corners
COLOUR, SIZE = Attribute("colour", COLOURS), Attribute("size", ("small", "large"))
PLACE, STROKE = Attribute("place", ("left", "right")), Attribute("stroke", ("thin", "thick"))
ATTRIBUTES = (COLOUR, SIZE, PLACE, STROKE)


def render(glyphs: Tensor, values: Tensor) -> Tensor:
    """Pictures of glyphs (N, 1, h, h) in [0, 1] with values (N, 4) of `ATTRIBUTES`: -> (N, 3, 2 h, 2 h) uint8."""
    colour, size, place, stroke = values.unbind(1)
    glyphs = torch.where(stroke.bool()[:, None, None, None], thickened(glyphs), glyphs)
    h = glyphs.shape[-1]
    grey = glyphs.new_zeros(len(glyphs), 1, 2 * h, 2 * h)
    for large, drawn in enumerate((glyphs, enlarged(glyphs))):
        side = drawn.shape[-1]
        top = (2 * h - side) // 2
        for where, left in enumerate((0, 2 * h - side)):
            rows = (size == large) & (place == where)
            grey[rows, :, top : top + side, left : left + side] = drawn[rows]
    return (grey * INKS[colour][:, :, None, None] * 255).round().to(torch.uint8)


def thickened(glyphs: Tensor) -> Tensor:
    """Dilation over 2x2 pixels."""
    return F.max_pool2d(F.pad(glyphs, (0, 1, 0, 1)), 2, 1)


def enlarged(glyphs: Tensor) -> Tensor:
    """One and a half times the side, by copies and means, which are exact: (N, 1, h, h) -> (N, 1, 3 h / 2, 3 h / 2)."""
    return F.avg_pool2d(glyphs.repeat_interleave(3, 2).repeat_interleave(3, 3), 2)


def glyph(x: Tensor, side: int) -> Tensor:
    """The digit that a picture shows, cut out by its measured size and place: (N, 3, 2 h, 2 h) -> (N, 1, side, side).

    In [0, 1], scaled bilinearly; a small glyph comes back exactly where `side` is h.
    """
    _, size, place, _ = measure(x).unbind(1)
    grey = ((x + 1) / 2).amax(1, keepdim=True)
    h = x.shape[-1] // 2
    out = grey.new_zeros(len(x), 1, side, side)
    for large, width in enumerate((h, 3 * h // 2)):
        top = (2 * h - width) // 2
        for where, left in enumerate((0, 2 * h - width)):
            rows = (size == large) & (place == where)
            cut = grey[rows, :, top : top + width, left : left + width]
            if len(cut):
                out[rows] = F.interpolate(cut, (side, side), mode="bilinear", antialias=True)
    return out


def measure(x: Tensor) -> Tensor:
    """Values of `ATTRIBUTES` read from the pixels of pictures (N, 3, S, S) in [-1, 1]: -> (N, 4) int64.

    Colour is the ink nearest to the mean colour; size and place are those of the box around the ink; stroke is thick
    where the ink holds much area for its outline. An empty picture reads as all zeros.
    """
    ink = ((x + 1) / 2).clamp(0, 1)
    grey = ink.amax(1)  # (N, S, S)
    peak = grey.amax((1, 2)).clamp_min(1e-6)
    on = grey > LEVEL * peak[:, None, None]
    mean = (ink * on[:, None]).sum((2, 3)) / on.sum((1, 2)).clamp_min(1)[:, None]
    hue = mean / mean.amax(1, keepdim=True).clamp_min(1e-6)  # (N, 3)
    colour = (hue[:, None] - INKS[: len(COLOURS)].to(x)).square().sum(2).argmin(1)
    side = x.shape[-1]
    height, _ = _extent(on.any(2))
    width, left = _extent(on.any(1))
    size = (torch.maximum(height, width) > STEP[side > 20] * side).long()
    place = (left + width / 2 > side / 2).long()
    area = on.sum((1, 2)).float()
    outline = (on[:, 1:] ^ on[:, :-1]).sum((1, 2)) + (on[:, :, 1:] ^ on[:, :, :-1]).sum((1, 2))
    scale = torch.where(size == 1, 1.5, 1.0)
    stroke = (area / outline.clamp_min(1) / scale > FULLNESS[side > 20]).long()
    return torch.stack([colour, size, place, stroke], 1)


def _extent(on: Tensor) -> tuple[Tensor, Tensor]:
    """Length and beginning of the stretch from the first to the last true entry: (N, S) -> (N,), (N,)."""
    place = torch.arange(on.shape[1], device=on.device)
    first = torch.where(on, place, on.shape[1]).amin(1).clamp_max(on.shape[1] - 1)
    last = torch.where(on, place, -1).amax(1).clamp_min(0)
    return (last - first + 1).float(), first.float()
