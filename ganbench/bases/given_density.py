"""What methods that are given a density share: something that stands for it, to sample from and to read results off."""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.bases.inferred import Draws, GaussianLaw
from ganbench.data.density import Inferred, Metered
from ganbench.model import Budget, Count, DataSpec, Model, Split


class GivenDensity(Model):
    """A subclass makes `posterior` and says in `infer` how it comes to stand for the density."""

    posterior: Draws | GaussianLaw

    def infer(self, density: Metered, budget: Budget, rng: torch.Generator) -> None:
        """Fill the posterior within a budget of evaluations. Raises `NotApplicable` where it is too small."""
        raise NotImplementedError

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        assert data.density is not None
        self.infer(Metered(data.density), budget, rng)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.posterior.sample(n, rng)

    def estimate(self) -> Inferred:
        return self.posterior.inferred()


class DrawsFromDensity(GivenDensity):
    """A method that answers with draws; a subclass fills `posterior` with them."""

    class Config(Model.Config):
        keep: Count = 10_000  # draws that stand for the density afterwards

    posterior: Draws

    def build(self, spec: DataSpec) -> None:
        self.spec, self.posterior = spec, Draws(spec.event_shape, self.config.keep)
