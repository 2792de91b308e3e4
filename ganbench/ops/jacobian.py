"""Jacobians of a network at each example of a batch.

Shapes      B batch, F outputs, *E event shape.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def batched_jacobian(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """df/dx of each example: (B, *E) -> (B, F, *E). `f` maps (B, *E) -> (B, F) and must not mix examples."""

    def single(event: Tensor) -> Tensor:
        return f(event[None])[0]

    jacobian: Tensor = torch.func.vmap(torch.func.jacrev(single))(x)
    return jacobian


def leading_tangents(jacobian: Tensor, n: int) -> Tensor:
    """The n unit directions of the input that move the output most: (B, F, *E) -> (B, n, *E).

    With J = U S V^T these are the rows of V^T with the largest singular values. Signs are arbitrary.
    """
    directions: Tensor = torch.linalg.svd(jacobian.flatten(2), full_matrices=False).Vh[:, :n]
    out: Tensor = directions.unflatten(2, jacobian.shape[2:])
    return out
