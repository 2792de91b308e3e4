"""Data sets whose law is given: what methods of inference draw from, and exact draws of it for their judges.

The splits hold exact draws, none twice, so that learners from data can stand beside methods that know the density.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ganbench import seeding
from ganbench.data import Split
from ganbench.data.density import Gaussian
from ganbench.datasets.base import Dataset, Source, assemble, dataset
from ganbench.datasets.laws import Annulus, Clutter, GaussianLaw, LinearGaussian, Probit, SubsetRegression, isotropic
from ganbench.datasets.synthetic import normals

SIZES = {"train": 20_000, "holdout": 5_000, "test": 5_000}
VERSION = 1


@dataset(
    "linear_gaussian",
    event="vector",
    iterations={"smoke": 200, "quick": 1000, "standard": 5000},
    density=("value", "gradient", "conditionals", "factors"),
    builtin=True,
)
def linear_gaussian(source: Source) -> Dataset:
    """Posterior of three numbers of N(0, I), each of eight observations a sum of them with noise of deviation 1/2."""
    rng = seeding.stream("data", "linear_gaussian", f"v{VERSION}", "problem")
    design = normals((8, 3), rng)
    y = design @ torch.tensor([1.0, -0.5, 0.25]).double() + 0.5 * normals((8,), rng)
    return given("linear_gaussian", LinearGaussian.of(isotropic(3, 1.0), design, y, 0.5))


@dataset(
    "correlated_gaussian",
    event="vector",
    iterations={"smoke": 200, "quick": 1000, "standard": 5000},
    density=("value", "gradient", "conditionals"),
    builtin=True,
)
def correlated_gaussian(source: Source) -> Dataset:
    """Two numbers of deviation 1 with correlation 0.95: what is hard for steps along the axes."""
    cov = torch.tensor([[1, 0.95], [0.95, 1]], dtype=torch.float64)
    return given("correlated_gaussian", GaussianLaw(isotropic(2, 1.5), Gaussian(torch.zeros(2).double(), cov)))


@dataset(
    "probit",
    event="vector",
    iterations={"smoke": 200, "quick": 1000, "standard": 5000},
    density=("value", "gradient", "factors"),
    builtin=True,
)
def probit(source: Source) -> Dataset:
    """Posterior of the one coefficient of a probit regression on ten answers, under N(0, 4)."""
    rng = seeding.stream("data", "probit", f"v{VERSION}", "problem")
    a = normals((10,), rng)
    y = torch.where(1.5 * a + normals((10,), rng) > 0, 1.0, -1.0).double()
    return given("probit", Probit(isotropic(1, 2.0), y, a))


@dataset(
    "clutter",
    event="vector",
    iterations={"smoke": 200, "quick": 1000, "standard": 5000},
    density=("value", "gradient", "factors"),
    builtin=True,
)
def clutter(source: Source) -> Dataset:
    """Posterior of a mean, under N(0, 100), of twenty observations half of which are clutter (Minka 2001)."""
    rng = seeding.stream("data", "clutter", f"v{VERSION}", "problem")
    own, noise = torch.rand(20, generator=rng) < 0.5, normals((20,), rng)
    return given("clutter", Clutter(isotropic(1, 10.0), torch.where(own, 2 + noise, 10**0.5 * noise)))


@dataset(
    "annulus",
    event="vector",
    iterations={"smoke": 200, "quick": 1000, "standard": 5000},
    density=("value",),
    builtin=True,
)
def annulus(source: Source) -> Dataset:
    """The same density everywhere between circles of radius 1 and 2: there is no gradient to follow."""
    return given("annulus", Annulus(isotropic(2, 1.5)))


@dataset("subset_regression", event="vector", small=True, density=("value", "subspaces"), builtin=True)
def subset_regression(source: Source) -> Dataset:
    """Posterior over the subsets of six regressors, two of which are alike, and over their coefficients."""
    rng = seeding.stream("data", "subset_regression", f"v{VERSION}", "problem")
    design = normals((30, 6), rng)
    design[:, 1] = 0.8 * design[:, 0] + 0.6 * design[:, 1]
    y = design @ torch.tensor([0.6, 0, 0.4, 0, -0.3, 0]).double() + normals((30,), rng)
    return given("subset_regression", SubsetRegression(isotropic(6, 1.0), design, y, 1.0))


def given(name: str, law: Any) -> Dataset:
    """Distinct exact draws of a law in three splits, with the law and what is true of it."""
    count = sum(SIZES.values())
    x = distinct(law.draw(2 * count, seeding.stream("data", name, f"v{VERSION}", "draws")).float(), count)
    train, holdout, test = (Split(part, density=law) for part in x.split(list(SIZES.values())))
    return assemble(name, train, holdout, test, answers=law.answers(), version=VERSION)


def distinct(x: Tensor, count: int) -> Tensor:
    """The first `count` rows that have not been before: (N, D) -> (count, D)."""
    _, group = torch.unique(x, dim=0, return_inverse=True)
    first = torch.full((int(group.max()) + 1,), len(x)).scatter_reduce_(0, group, torch.arange(len(x)), "amin")
    return x[first.sort().values[:count]]
