"""Jacobians of a batched map, one matrix an example, in one vectorised call.

Shapes      B batch, *E event shape of one input, *O of one output.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jacfwd, jacrev, vmap


def batched_jacobian(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """d function(x)_b / d x_b of a map (B, *E) -> (B, *O) that treats examples apart: -> (B, *O, *E), differentiable.

    Forward mode where outputs outnumber inputs, reverse mode otherwise. Layers that mix examples (batch norm in
    training mode) have no such Jacobian: put the module in eval mode.
    """
    with torch.no_grad():
        outputs = function(x[:1]).numel()
    mode = jacfwd if outputs > math.prod(x.shape[1:]) else jacrev
    jacobian: Tensor = vmap(mode(lambda one: function(one[None])[0]))(x)
    return jacobian
