"""What metrics ask a trained model to do with test events: edit them, complete them, translate them back.

Shapes      N test events, M of them to be completed, *E event shape, *C condition shape, A attributes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench import seeding
from ganbench.datasets.base import Dataset
from ganbench.datasets.rendered import values_of_bits
from ganbench.datasets.rendering import render
from ganbench.errors import BadInput, NotApplicable
from ganbench.model import Model

COMPLETED = 200  # test events that are completed: pixel by pixel, or by a descent for each, takes its time
BATCH = 500


def turns(bits: Tensor, name: str) -> Tensor:
    """Which attribute of each test event is to be turned, drawn once for a data set: (N, A) -> (N,)."""
    return torch.randint(bits.shape[1], (len(bits),), generator=seeding.stream("metrics", name, "turned"))


def turned(bits: Tensor, which: Tensor) -> Tensor:
    """The same bits with one of each row turned: (N, A), (N,) -> (N, A)."""
    return bits * (1 - 2 * torch.nn.functional.one_hot(which, bits.shape[1]).to(bits))


def counterfactuals(dataset: Dataset, rows: Tensor, wishes: Tensor) -> Tensor:
    """Test pictures `rows` rendered with other attributes, as events: (N,), (N, A) -> (N, *E).

    Raises `NotApplicable` for data that is not rendered.
    """
    if dataset.rendered is None:
        raise NotApplicable(f"needs pictures rendered from attributes; {dataset.spec.name} is not")
    pixels = render(dataset.rendered.glyphs[rows], values_of_bits(wishes))
    return pixels.float().div_(127.5).sub_(1)


def upper_half(shape: tuple[int, ...]) -> Tensor:
    """The mask of what inpainting is told: (*E) bool. Raises `NotApplicable` for events that are no images."""
    if len(shape) != 3:
        raise NotApplicable(f"needs images to complete; got events of shape {shape}")
    known = torch.zeros(shape, dtype=torch.bool)
    known[:, : shape[1] // 2] = True
    return known


def edited(model: Model, x: Tensor, wishes: Tensor, rng: torch.Generator) -> Tensor:
    """(N, *E), (N, A) -> (N, *E)."""
    parts = zip(x.split(BATCH), wishes.split(BATCH), strict=True)
    return _checked("edit", torch.cat([model.edit(a, b, rng) for a, b in parts]), x.shape)


def completed(model: Model, x: Tensor, known: Tensor, rng: torch.Generator, *, project: bool = False) -> Tensor:
    """The first events with what is unknown filled in, or the model's own nearest ones: (N, *E), (*E) -> (M, *E)."""
    x = x[:COMPLETED]
    hidden = torch.where(known, x, 0)  # nothing of the truth reaches the model
    made = model.project(hidden, known, rng) if project else model.inpaint(hidden, known, rng)
    return _checked("project" if project else "inpaint", made, x.shape)


def translated_back(model: Model, x: Tensor, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """(N, *E) -> (N, *C)."""
    made = torch.cat([model.translate_back(part, rng) for part in x.split(BATCH)])
    return _checked("translate_back", made, (len(x), *shape))


def _checked(name: str, out: Tensor, shape: tuple[int, ...]) -> Tensor:
    if tuple(out.shape) != tuple(shape):
        raise BadInput(f"{name} must return {tuple(shape)}; got {tuple(out.shape)}")
    return out.detach().clamp(-1, 1)
