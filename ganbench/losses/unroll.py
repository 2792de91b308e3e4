"""Differentiable steps of a player's own Adam, so that the other player sees how it will react.

Source      Metz et al. 2017, "Unrolled Generative Adversarial Networks", arXiv:1611.02163, equations 7 to 10; the steps
            are Adam's with its live moments, all on the same examples, as in the authors' notebook.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Adam

Parameters = dict[str, Tensor]


def unroll(module: nn.Module, optimizer: Adam | None, loss: Callable[[Parameters], Tensor], steps: int) -> Parameters:
    """Parameters after `steps` Adam steps down `loss`, as functions of everything the loss depends on.

    The module and the optimizer stay as they are; before its first step an optimizer's moments count as zero.
    """
    parameters: Parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
    if steps == 0:
        return parameters
    if optimizer is None:
        optimizer = Adam(parameters.values())
    group = optimizer.param_groups[0]
    lr, (beta1, beta2), eps = group["lr"], group["betas"], group["eps"]
    state = [optimizer.state.get(p, {}) for p in parameters.values()]
    zero = [torch.zeros_like(p) for p in parameters.values()]
    mean = [s.get("exp_avg", z) for s, z in zip(state, zero, strict=True)]
    square = [s.get("exp_avg_sq", z) for s, z in zip(state, zero, strict=True)]
    device = zero[0].device
    taken = state[0]["step"].to(device) if state[0] else torch.zeros((), device=device)
    for i in range(1, steps + 1):
        # Its inputs are parameters, not copies of them, so that second derivatives reach the generator.
        grads = torch.autograd.grad(loss(parameters), list(parameters.values()), create_graph=True)
        mean = [beta1 * m + (1 - beta1) * g for m, g in zip(mean, grads, strict=True)]
        square = [beta2 * s + (1 - beta2) * g.square() for s, g in zip(square, grads, strict=True)]
        rate, scale = lr / (1 - beta1 ** (taken + i)), 1 / (1 - beta2 ** (taken + i))
        # The floor keeps the root's derivative finite where a gradient has always been zero.
        parameters = {
            name: p - rate * m / ((scale * s).clamp_min(1e-24).sqrt() + eps)
            for (name, p), m, s in zip(parameters.items(), mean, square, strict=True)
        }
    return parameters
