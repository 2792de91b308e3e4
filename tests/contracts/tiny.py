"""Tiny random data of every kind of event, and models made for it: what the sweeps over the registry share."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor

from ganbench import seeding
from ganbench.data import Condition, DataSpec, Split
from ganbench.errors import NotApplicable
from ganbench.model import Model
from ganbench.registry import MODELS, Entry

N, K = 96, 4
SPECS = {
    "vector": DataSpec("vector", (2,), None, K, N, N),
    "image8": DataSpec("image8", (1, 8, 8), (-1.0, 1.0), K, N, N),
    "image28": DataSpec("image28", (1, 28, 28), (-1.0, 1.0), K, N, N),
    "image32": DataSpec("image32", (3, 32, 32), (-1.0, 1.0), K, N, N),
}
SPECS |= {  # events made from conditions, for the models that ask for them
    "pairs8": DataSpec("pairs8", (1, 8, 8), (-1.0, 1.0), K, N, N, cond=Condition("image", (1, 8, 8))),
    "half8": DataSpec("half8", (1, 8, 8), (-1.0, 1.0), K, N, N, cond=Condition("image", (1, 4, 4))),
    "unpaired8": DataSpec(
        "unpaired8", (1, 8, 8), (-1.0, 1.0), K, N, N, cond=Condition("image", (3, 8, 8), paired=False)
    ),
    "tokens16": DataSpec("tokens16", (3, 16, 16), (-1.0, 1.0), K, N, N, cond=Condition("tokens", (6,), vocabulary=9)),
}
LARGER = ("srgan",)  # they make images larger than their conditions
IN_COLOUR = ("gan_ns", "dcgan", "wgan_gp", "vae_gaussian", "gmmn")  # slow for all of them
ENTRIES = {e.name: e for e in MODELS}


def takes(entry: Entry, kind: str) -> bool:
    """Whether a model is made for this kind of data, as far as its registration says."""
    cond, wanted = SPECS[kind].cond, entry.meta.get("conditions", ())
    if cond is None or not wanted:
        return cond is None and not wanted and SPECS[kind].kind in entry.meta.get("events", ("vector", "image"))
    return (
        cond.kind in wanted
        and (cond.paired or "pairs" not in entry.meta.get("needs", ()))
        and (kind == "half8") == (entry.name in LARGER)
    )


def cases() -> list[Any]:
    found = []
    for name, entry in ENTRIES.items():
        for spec in SPECS:
            if takes(entry, spec) and (spec != "image32" or name in IN_COLOUR):
                found.append(pytest.param((name, spec), id=f"{name}-{spec}"))
    return found


def data(kind: str, entry: Entry) -> Split:
    """Random events in the domain, with the labels and conditions that the model registered a need for."""
    rng = torch.Generator().manual_seed(7)
    spec = SPECS[kind]
    x = torch.randn(N, *spec.event_shape, generator=rng)
    y = torch.arange(N) % K
    x = (x + y.view(-1, *[1] * len(spec.event_shape))).mul(0.3)
    x = x.tanh() if spec.is_image else x
    needs = entry.meta.get("needs", ())
    cond = None if spec.cond is None else conditions(spec.cond, rng)
    if "y" in needs:
        return Split(x, y, cond=cond)
    if "labels" in needs:
        return Split(x, y, torch.arange(4 * K))
    return Split(x, cond=cond)


def conditions(cond: Condition, rng: torch.Generator) -> Tensor:
    """Random images, or captions of one word or more: -> (N, *C)."""
    if cond.vocabulary is None:
        return torch.rand(N, *cond.shape, generator=rng) * 2 - 1
    words = torch.randint(cond.vocabulary, (N, *cond.shape), generator=rng)
    ends = torch.randint(1, cond.shape[0] + 1, (N, 1), generator=rng)
    return torch.where(torch.arange(cond.shape[0]) < ends, words, -1)


def build(name: str, kind: str) -> Model:
    """The model as the runner makes it, with small batches."""
    cls: type[Model] = ENTRIES[name].load()
    model = cls(cls.configure(SPECS[kind], batch_size=16))
    with seeding.global_stream("init", name):
        try:
            model.build(SPECS[kind])
        except NotApplicable as reason:
            pytest.skip(str(reason))
    return model


def samples(model: Model, n: int, seed: int, device: str = "cpu") -> Tensor:
    """n samples, of as many classes where the model takes them."""
    rng = torch.Generator(device).manual_seed(seed)
    more = (torch.arange(n, device=device) % K,) if len(inspect.signature(model.sample).parameters) > 2 else ()
    with torch.no_grad():
        return model.sample(n, rng, *more)
