"""A linear layer whose large float32 products on a CPU go through oneDNN: same arithmetic, up to twice the rate.

The library behind `torch.mm` leaves half of the vector unit idle on some processors. Weights, initialisation and state
are those of `nn.Linear`; sums are rounded in another order. Derivatives of any order are linear layers again.

Shapes      B batch, I inputs, O outputs.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LARGE = 1 << 15  # weights below which the cost of a call outweighs its products


class Linear(nn.Linear):
    """x W^T + b: (..., I) -> (..., O)."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b by whichever library is the faster here: (..., I), (O, I), (O,) -> (..., O)."""
    if weight.numel() < LARGE or not _fits(x, weight):
        return F.linear(x, weight, bias)
    return affine(x, weight, bias)


def affine(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b through oneDNN, differentiable any number of times: (B, I), (O, I), (O,) -> (B, O)."""
    out: Tensor = _Affine.apply(x, weight, bias)
    return out


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x.contiguous(), weight, bias, "none", [], "")
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = _wanted(ctx)
        return (
            affine(gradient, weight.t()) if for_x else None,
            affine(gradient.t(), x.t()) if for_weight else None,
            gradient.sum(0) if for_bias else None,
        )


def _wanted(ctx: Any) -> tuple[bool, ...]:
    """Which gradients this pass will use.

    Autograd tells a Python function only which could ever be needed; a generator's turn would pay for the gradients of
    the discriminator's weights.
    """
    could: tuple[bool, ...] = ctx.needs_input_grad
    nodes = [node for node, _ in ctx.next_functions]
    try:
        return tuple(c and torch._C._will_engine_execute_node(nodes[i]) for i, c in enumerate(could))
    except (AttributeError, RuntimeError):  # torch.autograd.grad does not say
        return could


def _fits(x: Tensor, weight: Tensor) -> bool:
    """Plain float32 matrices on a CPU with oneDNN; not inside `torch.func` transforms, which need torch's own rules."""
    onednn: Any = torch.backends.mkldnn
    return bool(
        x.ndim == 2
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and onednn.is_available()
        and onednn.enabled
        and onednn.matmul.fp32_precision != "bf16"  # torch goes through oneDNN itself then
        and not torch._C._functorch.is_functorch_wrapped_tensor(x)
        and not torch._C._functorch.is_functorch_wrapped_tensor(weight)
        and not torch.is_autocast_enabled("cpu")
    )
