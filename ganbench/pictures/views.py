"""Pictures of what a model does with test images: reconstructions, walks between codes, tangents, inpainting.

Each is drawn for models that declare what it takes; rows of a sheet belong together, as its caption says.

Shapes      R rows, N columns, T tangents, F numbers in a code, *E event shape (C, H, W).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganbench.model import GAN, Model
from ganbench.pictures.grids import image_grid

COLUMNS = 12
ROWS = 8
REACH = 2.5  # standard deviations of a code to either side, of a traversal


def draw_views(folder: Path, model: Model, test: Tensor, rng: torch.Generator) -> list[str]:
    """Write every view of the model that its capabilities allow, from test images (M, *E); names without .png.

    Images are in [-1, 1].
    """
    sheets: dict[str, Callable[[], Tensor | None]] = {
        "reconstructions": lambda: reconstructions(model, test),
        "interpolations": lambda: interpolations(model, test, rng),
        "traversals": lambda: traversals(model, test),
        "variations": lambda: variations(model, rng),
        "tangents": lambda: tangents(model, test),
        "inpainting": lambda: inpainting(model, test, rng),
    }
    drawn = []
    for name, sheet in sheets.items():
        with torch.no_grad():
            images = sheet()
        if images is not None:
            pixels = images.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
            image_grid(folder / f"{name}.png", pixels.flatten(0, 1).numpy(), columns=pixels.shape[1])
            drawn.append(name)
    return drawn


def reconstructions(model: Model, test: Tensor) -> Tensor | None:
    """Pairs of rows, test images above the model's versions of them: -> (R, N, *E)."""
    if "reconstruct" not in model.gives:
        return None
    x = test[: COLUMNS * ROWS // 2]
    x = x[: len(x) // COLUMNS * COLUMNS] if len(x) >= COLUMNS else x
    columns = min(COLUMNS, len(x))
    pair = [part.unflatten(0, (-1, columns)) for part in (x, model.reconstruct(x))]
    return torch.stack(pair, 1).flatten(0, 1)


def interpolations(model: Model, test: Tensor, rng: torch.Generator) -> Tensor | None:
    """Decoded points of straight lines between the codes of two test images, or of two draws of the prior."""
    n = min(ROWS, len(test) // 2)
    decode: Callable[[Tensor], Tensor] | None = None
    if {"encode", "from_codes"} <= set(model.gives):
        codes, decode = model.encode(test[: 2 * n]), model.from_codes
    elif isinstance(model, GAN) and type(model).generate is GAN.generate and type(model).sample is GAN.sample:
        codes, decode = model.draw_latent(2 * n, rng), model.generator
    if decode is None or n == 0:
        return None
    t = torch.linspace(0, 1, COLUMNS).view(1, COLUMNS, *[1] * (codes.ndim - 1))
    line = torch.lerp(codes[0::2, None], codes[1::2, None], t.to(codes))
    sheet: Tensor = decode(line.flatten(0, 1)).unflatten(0, (n, COLUMNS))
    return sheet


def traversals(model: Model, test: Tensor) -> Tensor | None:
    """A test image decoded with one number of its code moved over REACH deviations to either side: -> (R, N, *E)."""
    if not {"encode", "from_codes"} <= set(model.gives):
        return None
    codes = model.encode(test[:1000])
    std, mean = codes.std(0), codes.mean(0)
    widest = std.argsort(descending=True)[:ROWS]
    walk = codes[:1].repeat(len(widest), COLUMNS, 1)  # (R, N, F)
    steps = torch.linspace(-REACH, REACH, COLUMNS).to(codes)
    for row, j in enumerate(widest.tolist()):
        walk[row, :, j] = mean[j] + steps * std[j]
    sheet: Tensor = model.from_codes(walk.flatten(0, 1)).unflatten(0, (len(widest), COLUMNS))
    return sheet


def variations(model: Model, rng: torch.Generator) -> Tensor | None:
    """The rows of a model that names its codes, one of which changes along each: -> (R, N, *E)."""
    return model.vary(COLUMNS, rng) if "vary" in model.gives else None


def tangents(model: Model, test: Tensor) -> Tensor | None:
    """Test images, each with its tangent vectors scaled to the range of pixels: -> (R, 1 + T, *E)."""
    if "tangents" not in model.gives:
        return None
    x = test[:ROWS]
    vectors = model.tangents(x)[:, : COLUMNS - 1]  # (R, T, *E)
    vectors = vectors / vectors.abs().flatten(2).amax(2).clamp(min=1e-12).view(*vectors.shape[:2], 1, 1, 1)
    return torch.cat([x[:, None], vectors], 1)


def inpainting(model: Model, test: Tensor, rng: torch.Generator) -> Tensor | None:
    """Test images, their upper halves over grey, and two completions of the lower halves: -> (4, N, *E)."""
    if "inpaint" not in model.gives:
        return None
    x = test[:COLUMNS]
    known = torch.zeros(x.shape[1:], dtype=torch.bool)
    known[:, : x.shape[2] // 2] = True
    hidden = torch.where(known, x, torch.zeros_like(x))
    both: list[Any] = [model.inpaint(x, known, rng) for _ in range(2)]
    return torch.stack([x, hidden, *both])
