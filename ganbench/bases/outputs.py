"""What a decoder's output says of an event: its means under squared error, or logits of its values under cross entropy.

Shapes      B batch, *E event shape.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ganbench.data import DataSpec
from ganbench.losses.likelihoods import bernoulli_log_prob
from ganbench.nn.domain import bounds, from_unit, to_unit

Output = Literal["gaussian", "bernoulli"]


def check_output(spec: DataSpec, output: Output) -> None:
    """Raises `NotApplicable` for unbounded data whose values would be read as probabilities."""
    if output == "bernoulli":
        bounds(spec)


def output_error(x: Tensor, out: Tensor, spec: DataSpec, output: Output) -> Tensor:
    """Squared error, or cross entropy in nats, of each event: (B, *E), (B, *E) -> (B,)."""
    if output == "bernoulli":
        return -bernoulli_log_prob(to_unit(x, spec), out)
    return (x - out).square().flatten(1).sum(1)


def output_mean(out: Tensor, spec: DataSpec, output: Output) -> Tensor:
    """The event that an output stands for: (B, *E) -> (B, *E)."""
    return from_unit(torch.sigmoid(out), spec) if output == "bernoulli" else out
