"""The direction in which a classifier's prediction changes most, found without labels.

Source      Miyato et al. 2016, "Distributional Smoothing with Virtual Adversarial Training", Algorithm 1.
Shapes      B batch, K classes, *E event shape.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganbench.losses.categorical import categorical_kl


def unit(d: Tensor) -> Tensor:
    """Every event divided by its Euclidean length; zeros stay zeros: (B, *E) -> (B, *E)."""
    flat = d.flatten(1)
    flat = flat / flat.abs().amax(1, keepdim=True).clamp(min=torch.finfo(d.dtype).tiny)  # squares must not underflow
    out: Tensor = flat / torch.linalg.vector_norm(flat, dim=1, keepdim=True).clamp(min=0.5)
    return out.view_as(d)


def virtual_adversarial_perturbation(
    classifier: Callable[[Tensor], Tensor],
    x: Tensor,
    logits: Tensor,
    rng: torch.Generator,
    *,
    epsilon: float,
    xi: float,
    steps: int = 1,
) -> Tensor:
    """Of length `epsilon`, along the dominant eigenvector of the Hessian of KL(p(x) || p(x + r)) in r: -> (B, *E).

    `logits` (B, K) are the classifier's at x. Each of `steps` power iterations starts from a random direction and takes
    the gradient of KL at a step `xi` along it, which is xi times the Hessian's product with it.
    """
    logits, x = logits.detach(), x.detach()
    d = torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
    for _ in range(steps):
        r = (xi * unit(d)).requires_grad_()
        with torch.enable_grad():
            categorical_kl(logits, classifier(x + r)).sum().backward(inputs=[r])
        assert r.grad is not None
        d = r.grad
    return epsilon * unit(d)
