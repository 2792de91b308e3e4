"""Contractive autoencoder: codes that move as little as reconstruction allows when the input moves.

Source      Rifai et al. 2011, "Contractive Auto-Encoders: Explicit Invariance During Feature Extraction" (ICML),
            equations 2, 4 and 7: one sigmoid layer, tied weights, penalty lambda |dh/dx|_F^2 in closed form.
            The lecture form without the factor lambda is contraction_weight = 1.
Departures  1. Adam on batches of 64; 128 units where the paper has 1000 and up.
            2. On vectors, which are unbounded, the decoder is linear with squared error (the paper's other choice).
Shapes      B batch, F n_units, D numbers in an event, *E event shape.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.bases.outputs import Output, check_output, output_error, output_mean
from ganbench.model import Batch, Count, DataSpec, Defaults, Model, NonNegative, Player, Positive, register
from ganbench.nn import to_unit


def contractive_penalty(h: Tensor, weight: Tensor) -> Tensor:
    """|dh/dx|_F^2 for h = sigmoid(W x + b): sum_j (h_j (1 - h_j))^2 |W_j|^2: (B, F), (F, D) -> (B,)."""
    return (h * (1 - h)).square() @ weight.square().sum(1)


@register("cae", family="autoencoder", paper="Rifai et al., ICML 2011", gives=("encode", "from_codes", "reconstruct"))
class ContractiveAutoencoder(Model):
    class Config(Model.Config):
        n_units: Count = 128
        lr: Positive = 1e-3
        contraction_weight: NonNegative = 0.1  # lambda
        output: Output = "gaussian"

    config: Config
    defaults = Defaults(image={"output": "bernoulli"})

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        check_output(spec, self.config.output)
        self.layer = nn.Linear(spec.n_dims, self.config.n_units)  # W (F, D) and b_h
        self.output_bias = nn.Parameter(torch.zeros(spec.n_dims))  # b_y

    def players(self) -> list[Player]:
        return [Player("autoencoder", self, self.loss, partial(torch.optim.Adam, lr=self.config.lr))]

    def encode(self, x: Tensor) -> Tensor:
        x = to_unit(x, self.spec) if self.config.output == "bernoulli" else x
        return torch.sigmoid(self.layer(x.flatten(1)))

    def output(self, h: Tensor) -> Tensor:
        """Means, or logits where they are probabilities: (B, F) -> (B, *E)."""
        return F.linear(h, self.layer.weight.T, self.output_bias).view(-1, *self.spec.event_shape)

    def loss(self, batch: Batch) -> Tensor:  # equation 7
        h = self.encode(batch.x)
        penalty = contractive_penalty(h, self.layer.weight)
        error = output_error(batch.x, self.output(h), self.spec, self.config.output)
        return (error + self.config.contraction_weight * penalty).mean()

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        return {"jacobian_norm": contractive_penalty(self.encode(batch.x), self.layer.weight).mean().sqrt()}

    def from_codes(self, z: Tensor) -> Tensor:
        return output_mean(self.output(z), self.spec, self.config.output)
