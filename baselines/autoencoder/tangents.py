"""Tangent vectors of the data manifold, read off the Jacobian of a contractive encoder.

Source      Rifai et al. 2011, "The Manifold Tangent Classifier" (NIPS), section 3.1: J = dh/dx = U S V^T, and
            the tangents at x are the rows of V^T with the largest singular values (a lecture prints rows of V).
Departures  1. One sigmoid layer with the first-order contraction of the CAE; the paper adds a second-order term.
            2. Adam on batches of 64.
Shapes      B batch, F n_units, T n_tangents, D numbers in an event, *E event shape.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.bases.outputs import Output, check_output, output_error, output_mean
from ganbench.errors import NotApplicable
from ganbench.model import Batch, Count, DataSpec, Defaults, Model, NonNegative, Player, Positive, register
from ganbench.nn import to_unit
from ganbench.ops.jacobian import batched_jacobian, leading_tangents


@register(
    "tangents",
    family="autoencoder",
    paper="Rifai et al., NIPS 2011",
    gives=("encode", "from_codes", "reconstruct", "tangents"),
)
class ManifoldTangents(Model):
    class Config(Model.Config):
        n_units: Count = 128
        n_tangents: Count = 1
        lr: Positive = 1e-3
        contraction_weight: NonNegative = 0.1  # lambda
        output: Output = "gaussian"

    config: Config
    defaults = Defaults(image={"output": "bernoulli", "n_tangents": 15})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        if c.n_tangents > (most := min(c.n_units, spec.n_dims)):
            raise NotApplicable(f"n_tangents = {c.n_tangents}: there are at most {most} directions; lower n_tangents")
        check_output(spec, c.output)
        self.layer = nn.Linear(spec.n_dims, c.n_units)  # W (F, D) and b_h; the decoder is tied to W
        self.output_bias = nn.Parameter(torch.zeros(spec.n_dims))

    def players(self) -> list[Player]:
        return [Player("autoencoder", self, self.loss, partial(torch.optim.Adam, lr=self.config.lr))]

    def encode(self, x: Tensor) -> Tensor:
        x = to_unit(x, self.spec) if self.config.output == "bernoulli" else x
        return torch.sigmoid(self.layer(x.flatten(1)))

    def output(self, h: Tensor) -> Tensor:
        """Means, or logits where they are probabilities: (B, F) -> (B, *E)."""
        return F.linear(h, self.layer.weight.T, self.output_bias).view(-1, *self.spec.event_shape)

    def loss(self, batch: Batch) -> Tensor:
        h = self.encode(batch.x)
        penalty = (h * (1 - h)).square() @ self.layer.weight.square().sum(1)  # |dh/dx|_F^2, in closed form
        error = output_error(batch.x, self.output(h), self.spec, self.config.output)
        return (error + self.config.contraction_weight * penalty).mean()

    def tangents(self, x: Tensor) -> Tensor:
        """Orthonormal tangent vectors at each event, strongest first, signs arbitrary: (B, *E) -> (B, T, *E)."""
        return leading_tangents(batched_jacobian(self.encode, x), self.config.n_tangents)

    def from_codes(self, z: Tensor) -> Tensor:
        return output_mean(self.output(z), self.spec, self.config.output)
