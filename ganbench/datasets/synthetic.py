"""Points in the plane with a known law: 100,000 to train on, 10,000 in holdout and test, drawn once and for all.

Every split has its own random stream, fixed by name, version and part. Normal draws are quantiles of 53-bit uniforms,
not `torch.randn`, whose last bits depend on the processor: the hash of a data set is the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ganbench import seeding
from ganbench.data import Mixture, Split
from ganbench.datasets.base import Dataset, Source, assemble, dataset
from ganbench.datasets.laws import MixtureLaw

SIZES = {"train": 100_000, "holdout": 10_000, "test": 10_000}
VERSION = 1


@dataset(
    "ring8",
    event="vector",
    small=True,
    labelled=True,
    scorer="mixture_posterior",
    density=("value", "gradient", "conditionals"),
    builtin=True,
    greatest={"modes": 8},
)
def ring8(source: Source) -> Dataset:
    """Eight Gaussians of std 0.01 evenly on the unit circle, the first at (1, 0); labels are the modes."""
    angle = torch.arange(8, dtype=torch.float64) * (math.pi / 4)
    return _mixture("ring8", Mixture(torch.stack([angle.cos(), angle.sin()], 1).float(), 0.01), n_classes=8)


@dataset(
    "grid25",
    event="vector",
    small=True,
    labelled=True,
    scorer="mixture_posterior",
    density=("value", "gradient", "conditionals"),
    builtin=True,
    greatest={"modes": 25},
)
def grid25(source: Source) -> Dataset:
    """Twenty-five Gaussians of std 0.05 at {-4, -2, 0, 2, 4}^2; labels are the modes."""
    side = torch.arange(-4.0, 5.0, 2.0)
    return _mixture("grid25", Mixture(torch.cartesian_prod(side, side), 0.05), n_classes=25)


@dataset("gaussian", event="vector", small=True, density=("value", "gradient", "conditionals"), builtin=True)
def gaussian(source: Source) -> Dataset:
    """One standard Gaussian in the plane, N(0, I): the case every model must pass; no labels."""
    return _mixture("gaussian", Mixture(torch.zeros(1, 2), 1.0), n_classes=None)


@dataset("swissroll", event="vector", small=True, builtin=True)
def swissroll(source: Source) -> Dataset:
    """A spiral of one and a half turns with Gaussian noise: (t cos t, t sin t) + 0.25 N(0, I), all over 7.5.

    t is uniform on [1.5 pi, 4.5 pi]; noise and divisor are those of the WGAN-GP toy experiments (arXiv:1704.00028).
    """

    def draw(n: int, rng: torch.Generator) -> Split:
        t = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=rng, dtype=torch.float64))
        spiral = torch.stack([t * t.cos(), t * t.sin()], 1)  # (n, 2)
        return Split(((spiral + 0.25 * normals((n, 2), rng)) / 7.5).float())

    return _drawn("swissroll", draw)


def normals(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Standard normal draws in float64, the same on every processor."""
    uniform = torch.rand(shape, generator=rng, dtype=torch.float64).clamp_(min=2.0**-54)
    out: Tensor = torch.special.ndtri(uniform)
    return out


def _mixture(name: str, mixture: Mixture, n_classes: int | None) -> Dataset:
    """A data set drawn from an exact mixture, labelled with the mode each point came from."""

    def draw(n: int, rng: torch.Generator) -> Split:
        mode = torch.randint(len(mixture.means), (n,), generator=rng)
        noise = normals((n, mixture.means.shape[1]), rng)
        x = (mixture.means.double()[mode] + mixture.std * noise).float()
        return Split(x, mode if n_classes else None)

    drawn, law = _drawn(name, draw, n_classes=n_classes, mixture=mixture), MixtureLaw.of(mixture)
    splits = {part: replace(getattr(drawn, part), density=law) for part in SIZES}
    return replace(drawn, **splits, answers=law.answers())


def _drawn(
    name: str,
    draw: Callable[[int, torch.Generator], Split],
    n_classes: int | None = None,
    mixture: Mixture | None = None,
) -> Dataset:
    """Three splits, each from its own stream."""
    train, holdout, test = (
        draw(size, seeding.stream("data", name, f"v{VERSION}", part)) for part, size in SIZES.items()
    )
    return assemble(name, train, holdout, test, n_classes=n_classes, mixture=mixture, version=VERSION)
