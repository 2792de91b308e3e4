"""Pictures of what a model does with test images: reconstructions, walks between codes, translations, edits.

Each is drawn for models that declare what it takes; rows of a sheet belong together, as its caption says.

Shapes      R rows, N columns, T tangents, F numbers in a code, *E event shape (C, H, W), *C condition shape.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.errors import NotApplicable
from ganbench.model import GAN, Model
from ganbench.pictures.grids import captioned, image_grid

COLUMNS = 12
ROWS = 8
REACH = 2.5  # standard deviations of a code to either side, of a traversal


def draw_views(folder: Path, model: Model, test: Tensor, rng: torch.Generator, cond: Tensor | None = None) -> list[str]:
    """Write every view of the model that its capabilities allow, from test images (M, *E); names without .png.

    Images are in [-1, 1]; `cond` (M, *C) are their conditions.
    """
    made = None if cond is None else model.spec.cond
    kind = "" if made is None else made.kind
    sheets: dict[str, Callable[[], Tensor | None]] = {
        "reconstructions": lambda: reconstructions(model, test),
        "interpolations": lambda: interpolations(model, test, rng),
        "traversals": lambda: traversals(model, test),
        "variations": lambda: variations(model, rng),
        "tangents": lambda: tangents(model, test),
        "inpainting": lambda: inpainting(model, test, rng),
    }
    if kind == "image" and cond is not None:
        sheets["translations"] = lambda: translations(model, test, cond, rng)
        sheets["enlargements"] = lambda: enlargements(model, test, cond, rng)
        sheets["cycles"] = lambda: cycles(model, cond, rng)
    if kind == "attributes" and cond is not None:
        sheets["edits"] = lambda: edits(model, test, cond, rng)
    drawn = []
    for name, sheet in sheets.items():
        with torch.no_grad():
            try:
                images = sheet()
            except NotApplicable:  # not with this config
                continue
        if images is not None:
            pixels = images.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
            image_grid(folder / f"{name}.png", pixels.flatten(0, 1).numpy(), columns=pixels.shape[1])
            drawn.append(name)
    if kind == "tokens" and cond is not None and made is not None and "translate" in model.gives:
        words = made.names or [str(i) for i in range(made.vocabulary or 0)]
        texts = [" ".join(words[token] for token in row if token >= 0) for row in cond[:ROWS].tolist()]
        with torch.no_grad():
            images = model.translate(cond[:ROWS].repeat_interleave(COLUMNS // 2, 0), rng)
        pixels = images.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        captioned(folder / "captioned.png", texts, pixels.unflatten(0, (len(texts), -1)).numpy())
        drawn.append("captioned")
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
    elif _plain(model):
        assert isinstance(model, GAN)
        codes, decode = model.draw_latent(2 * n, rng), model.generator
    if decode is None or n == 0:
        return None
    t = torch.linspace(0, 1, COLUMNS).view(1, COLUMNS, *[1] * (codes.ndim - 1))
    line = torch.lerp(codes[0::2, None], codes[1::2, None], t.to(codes))
    sheet: Tensor = decode(line.flatten(0, 1)).unflatten(0, (n, COLUMNS))
    return sheet


def _plain(model: Model) -> bool:
    """Whether its samples are its generator's images of its latents, and of nothing else."""
    plain = isinstance(model, GAN) and type(model).generate is GAN.generate and type(model).sample is GAN.sample
    return plain and "sample" in model.gives


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


def translations(model: Model, test: Tensor, cond: Tensor, rng: torch.Generator) -> Tensor | None:
    """Sources, translations and truths of one size: -> (3, N, *E)."""
    if "translate" not in model.gives or cond.shape[2:] != test.shape[2:]:
        return None
    return _rows(cond[:COLUMNS], model.translate(cond[:COLUMNS], rng), test[:COLUMNS])


def enlargements(model: Model, test: Tensor, cond: Tensor, rng: torch.Generator) -> Tensor | None:
    """Small images, by copies and by cubic interpolation, the model's large ones, and truths: -> (4, N, *E)."""
    if "translate" not in model.gives or cond.shape[2:] == test.shape[2:]:
        return None
    small, sides = cond[:COLUMNS], tuple(test.shape[2:])
    cubic = F.interpolate(small, sides, mode="bicubic", align_corners=False).clamp(-1, 1)
    return _rows(small, cubic, model.translate(small, rng), test[:COLUMNS])


def cycles(model: Model, cond: Tensor, rng: torch.Generator) -> Tensor | None:
    """Sources, translations, and these translated back: -> (3, N, *E)."""
    if not {"translate", "translate_back"} <= set(model.gives):
        return None
    there = model.translate(cond[:COLUMNS], rng)
    return _rows(cond[:COLUMNS], there, model.translate_back(there, rng))


def edits(model: Model, test: Tensor, cond: Tensor, rng: torch.Generator) -> Tensor | None:
    """Test images, reconstructions where there are any, and one column an attribute turned: -> (R, 2 + A, *E)."""
    if "edit" not in model.gives:
        return None
    x, bits = test[:ROWS], cond[:ROWS]
    columns = [x, model.reconstruct(x)] if "reconstruct" in model.gives else [x]
    for a in range(bits.shape[1]):
        wishes = bits.clone()
        wishes[:, a] *= -1
        columns.append(model.edit(x, wishes, rng))
    return torch.stack(columns, 1)


def _rows(*images: Tensor) -> Tensor:
    """Rows of images of one size, small and grey ones by copies: (N, C, H, W) each -> (R, N, C', H', W')."""
    sides = tuple(max(x.shape[i] for x in images) for i in (2, 3))
    images = tuple(F.interpolate(x, sides) for x in images)
    most = max(x.shape[1] for x in images)
    return torch.stack([x if x.shape[1] == most else x[:, :1].expand(-1, most, -1, -1) for x in images])
