"""Every image model with its defaults on images of four sizes: it builds, takes a training step, and samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from ganbench import seeding
from ganbench.data import DataSpec, Split
from ganbench.engine.loop import train
from ganbench.errors import NotApplicable
from ganbench.gates.contract import events
from ganbench.model import Budget
from ganbench.registry import MODELS, Entry

SHAPES = [(3, 32, 32), (3, 48, 32), (1, 64, 64), (3, 128, 128)]
QUICK = ("dcgan", "vae_gaussian", "conv_ae")  # the shared pair, the shared autoencoder, and one of its own
# What no computer holds is refused with what to do instead; everything else must run.
REFUSED = {("gaussian_mle", (3, 48, 32)), ("gaussian_mle", (3, 128, 128))}
N, K = 96, 4


def image_models() -> list[Entry]:
    """Models of images that are made from nothing or from labels."""
    return [e for e in MODELS if "image" in e.events and not e.conditions]


def cases() -> list[Any]:
    return [
        pytest.param(
            e, shape, id=f"{e.name}-{'x'.join(map(str, shape))}",
            marks=[] if e.name in QUICK and shape == (3, 48, 32) else pytest.mark.slow,
        )
        for e in image_models() for shape in SHAPES
    ]  # fmt: skip


def pictures(entry: Entry, spec: DataSpec) -> Split:
    """Smooth random pictures of K classes, with the labels the model registered a need for."""
    rng = torch.Generator().manual_seed(0)
    y = torch.arange(N) % K
    rough = torch.randn(N, spec.event_shape[0], 4, 4, generator=rng) + y.view(-1, 1, 1, 1)
    x = torch.nn.functional.interpolate(rough * 0.3, spec.event_shape[1:], mode="bilinear").tanh()
    needs = entry.needs
    return Split(x, y if {"y", "labels"} & set(needs) else None, torch.arange(N) if "labels" in needs else None)


@pytest.mark.parametrize(("entry", "shape"), cases())
def test_a_model_with_its_defaults_trains_and_samples(entry: Entry, shape: tuple[int, ...]) -> None:
    spec = DataSpec("pictures", shape, (-1.0, 1.0), K, N, N)
    cls = entry.load()
    model = cls(cls.configure(spec, batch_size=4))
    if (entry.name, shape) in REFUSED:
        with pytest.raises(NotApplicable, match="try "):
            model.build(spec)
        return
    with seeding.global_stream("init", entry.name):
        model.build(spec)
    before = [p.detach().clone() for p in model.parameters()]
    data = pictures(entry, replace(spec))
    with seeding.global_stream("training", entry.name):
        train(model, data, Budget(iterations=1), seeding.stream("training", entry.name))
    assert not before or any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    if "sample" in entry.gives:
        x = events.samples(model.eval(), 2, seed=1)
        assert x.shape == (2, *shape)
        assert bool(torch.isfinite(x).all())
        assert float(x.abs().max()) <= 1 + 1e-6
