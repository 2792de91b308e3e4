"""What keeps a discriminator or critic smooth: weight clipping and penalties on its gradient at chosen points.

Penalties are per example, so the judge must not let examples interact (no batch norm, no minibatch discrimination).
Shapes      B batch, *E event shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Judge = Callable[[Tensor], Tensor]  # (B, *E) -> (B,)
O = TypeVar("O", bound=Optimizer)


@torch.no_grad()
def clip_weights_(module: nn.Module, c: float) -> None:
    """Every weight and bias into [-c, c], in place. Arjovsky et al. 2017, arXiv:1701.07875, Algorithm 1, line 7."""
    weights = [p.detach() for p in module.parameters()]
    torch._foreach_clamp_min_(weights, -c)
    torch._foreach_clamp_max_(weights, c)


def gradient_clamped(make: Callable[..., O], c: float) -> Callable[..., O]:
    """Like `make`, but of optimizers that clip each entry of the gradient to [-c, c]; bounds no Lipschitz constant."""
    return _before_steps(make, lambda parameters: torch.nn.utils.clip_grad_value_(parameters, c))


def gradient_clipped(make: Callable[..., O], c: float) -> Callable[..., O]:
    """Like `make`, but of optimizers that shorten their whole gradient to norm c before a step where it is longer.

    One gradient of 1e5 stays in Adam's second moments for thousands of steps and keeps every one of them near zero.
    """
    return _before_steps(make, lambda parameters: torch.nn.utils.clip_grad_norm_(parameters, c))


def _before_steps(make: Callable[..., O], clip: Callable[[list[Tensor]], object]) -> Callable[..., O]:
    def hook(optimizer: Optimizer, *_: Any) -> None:
        clip([p for group in optimizer.param_groups for p in group["params"]])

    def made(*arguments: Any, **named: Any) -> O:
        optimizer = make(*arguments, **named)
        optimizer.register_step_pre_hook(hook)
        return optimizer

    return made


def on_segments(real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """Points uniform on each segment from fake to real: (B, *E), (B, *E) -> (B, *E)."""
    t = torch.rand(len(real), *[1] * (real.ndim - 1), generator=rng, device=real.device)
    return t * real + (1 - t) * fake


def gradient_norms(judge: Judge, x: Tensor) -> Tensor:
    """|grad_x judge(x)| of each example, differentiable in the judge's parameters: (B, *E) -> (B,)."""
    x = x.detach().requires_grad_()
    # Examples do not interact, so the gradient of the sum holds each example's own.
    with torch.enable_grad():
        (grad,) = torch.autograd.grad(judge(x).sum(), x, create_graph=True)
    norms: Tensor = grad.flatten(1).norm(dim=1)
    return norms


def critic_readings(critic: Judge, real: Tensor, fake: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
    """What to plot of a critic: (B, *E), (B, *E) -> scalars by name.

    Its estimate is K times a lower bound on the Wasserstein distance, with K its Lipschitz constant. Where it is
    batch-normed, an example's slope includes what it does to the others.
    """
    with torch.no_grad():
        estimate = critic(real).mean() - critic(fake).mean()
    slope = gradient_norms(critic, on_segments(real, fake, rng)).mean()
    return {"wasserstein_estimate": estimate, "gradient_norm": slope}


def gradient_penalty(judge: Judge, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """E (|grad| - 1)^2 on segments. Gulrajani et al. 2017, arXiv:1704.00028, equation 3."""
    return (gradient_norms(judge, on_segments(real, fake, rng)) - 1).square().mean()


def one_sided_penalty(judge: Judge, real: Tensor, fake: Tensor, rng: torch.Generator, *, square: bool = True) -> Tensor:
    """E max(0, |grad| - 1)^2 on segments, or unsquared. Petzka et al. 2018, arXiv:1709.08894, section 5."""
    excess = torch.relu(gradient_norms(judge, on_segments(real, fake, rng)) - 1)
    return excess.square().mean() if square else excess.mean()


def dragan_penalty(judge: Judge, real: Tensor, rng: torch.Generator) -> Tensor:
    """E (|grad| - 1)^2 near the data: x + s u, u uniform in [-1/2, 1/2], s the std of the batch's entries.

    Kodali et al. 2017, arXiv:1705.07215, Algorithm 1, with noise scaled by the data. The authors' code draws the
    point on a segment from x to x + s u / 2, u uniform in [0, 1].
    """
    noise = torch.rand(real.shape, generator=rng, device=real.device) - 0.5
    return (gradient_norms(judge, real + real.std() * noise) - 1).square().mean()


def r1_penalty(judge: Judge, real: Tensor) -> Tensor:
    """E |grad|^2 / 2 on real data. Mescheder et al. 2018, arXiv:1801.04406, equation 9."""
    return 0.5 * gradient_norms(judge, real).square().mean()
