"""Gaussian by maximum likelihood: the sample mean and covariance, the closed-form fit every density is compared with.

Source      argmax_w sum_i log N(x_i; mu, Sigma): mu the sample mean, Sigma the covariance over n (not n - 1).
Departures  1. No standard deviation below `min_std` in any direction: on data that fill no volume (constant pixels) the
               likelihood is unbounded. Raising the small eigenvalues to min_std^2 is the maximum under that constraint.
            2. Samples of images are clipped to the pixel range; `log_prob` is that of the unclipped Gaussian.
Shapes      B batch, N examples, D numbers in an event, *E event shape.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from ganbench.errors import BadInput, NotApplicable
from ganbench.model import Budget, DataSpec, Defaults, Model, Positive, Split, register

LARGEST = 4096  # dimensions of a full covariance: its eigenvectors take 20 s and 130 MB there


@register("gaussian_mle", family="classical", gives=("sample", "log_prob"))
class GaussianMLE(Model):
    class Config(Model.Config):
        covariance: Literal["full", "diagonal"] = "full"
        min_std: Positive = 1e-3  # in data units

    config: Config
    defaults = Defaults(image={"min_std": 0.01})
    mean: Tensor  # (D,)
    basis: Tensor  # (D, D) orthonormal principal directions in columns; (0, 0) when diagonal
    std: Tensor  # (D,) along the directions

    def build(self, spec: DataSpec) -> None:
        self.spec, d = spec, spec.n_dims
        full = self.config.covariance == "full"
        if full and d > LARGEST:
            raise NotApplicable(
                f"a full covariance takes at most {LARGEST} dimensions; {spec.name} has {d}: try covariance=diagonal"
            )
        self.register_buffer("mean", torch.zeros(d, dtype=torch.float64))
        self.register_buffer("basis", torch.eye(d if full else 0, dtype=torch.float64))
        self.register_buffer("std", torch.ones(d, dtype=torch.float64))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        """Closed form, whatever the budget. Raises `BadInput` for fewer than two examples."""
        if len(data) < 2:
            raise BadInput(f"a Gaussian needs at least 2 examples; got {len(data)}")
        x = data.events().flatten(1).double()
        self.mean.copy_(x.mean(0))
        centred = x - self.mean
        if self.config.covariance == "full":
            variance, basis = torch.linalg.eigh(centred.T @ centred / len(x))
            self.basis.copy_(basis)
        else:
            variance = centred.square().mean(0)
        self.std.copy_(variance.clamp(min=self.config.min_std**2).sqrt())

    @property
    def covariance(self) -> Tensor:
        """The fitted Sigma: (D, D)."""
        if self.config.covariance == "diagonal":
            return self.std.square().diag()
        return (self.basis * self.std.square()) @ self.basis.T

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        noise = self.std * torch.randn(n, self.spec.n_dims, generator=rng, device=rng.device)
        x = self.mean + (noise @ self.basis.T if self.config.covariance == "full" else noise)
        x = x.float().view(n, *self.spec.event_shape)
        return x if self.spec.domain is None else x.clamp(*self.spec.domain)

    def log_prob(self, x: Tensor, rng: torch.Generator) -> Tensor:
        centred = x.flatten(1).double() - self.mean
        whitened = (centred @ self.basis if self.config.covariance == "full" else centred) / self.std
        normaliser = self.std.log().sum() + 0.5 * self.spec.n_dims * math.log(2 * math.pi)
        return -0.5 * whitened.square().sum(1) - normaliser
