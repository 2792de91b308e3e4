"""f-divergences and their variational bounds: D_f(P||Q) >= E_P T(x) - E_Q f*(T(x)), tight at T* = f'(p/q).

An output activation g_f maps a network's output V into the domain of f*, T = g_f(V), and grows with V, so that large
V means "real" for every divergence. Both g_f and f* o g_f are written directly on V, in their stable forms.

Source      Nowozin, Cseke, Tomioka 2016, "f-GAN", arXiv:1606.00709, equations 4-6, tables 1 and 2. The paper prints
            Neyman's integral of (q - p)^2 / p beside Pearson's f = (u - 1)^2, which gives that of (p - q)^2 / q; the f
            named JS gives twice the Jensen-Shannon divergence; the f named GAN gives 2 JS - log 4.
Shapes      elementwise throughout.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

LOG2 = math.log(2.0)


@dataclass(frozen=True)
class Divergence:
    """One convex f with f' at hand and its conjugate composed with the output activation."""

    name: str
    f: Callable[[Tensor], Tensor]  # u = p/q > 0 -> f(u)
    optimal: Callable[[Tensor], Tensor]  # u -> T*(u) = f'(u)
    conjugate: Callable[[Tensor], Tensor]  # t in dom f* -> f*(t)
    activation: Callable[[Tensor], Tensor]  # V -> T = g_f(V)
    conjugate_of_activation: Callable[[Tensor], Tensor]  # V -> f*(g_f(V))


DIVERGENCES: dict[str, Divergence] = {
    d.name: d
    for d in (
        Divergence(
            "kl",
            f=lambda u: u * u.log(),
            optimal=lambda u: 1 + u.log(),
            conjugate=lambda t: (t - 1).exp(),
            activation=lambda v: v,
            conjugate_of_activation=lambda v: (v - 1).exp(),
        ),
        Divergence(
            "rkl",
            f=lambda u: -u.log(),
            optimal=lambda u: -1 / u,
            conjugate=lambda t: -1 - (-t).log(),
            activation=lambda v: -(-v).exp(),
            conjugate_of_activation=lambda v: v - 1,
        ),
        Divergence(
            "pearson",
            f=lambda u: (u - 1).square(),
            optimal=lambda u: 2 * (u - 1),
            conjugate=lambda t: t.square() / 4 + t,
            activation=lambda v: v,
            conjugate_of_activation=lambda v: v.square() / 4 + v,
        ),
        Divergence(
            "hellinger",
            f=lambda u: (u.sqrt() - 1).square(),
            optimal=lambda u: 1 - u.rsqrt(),
            conjugate=lambda t: t / (1 - t),
            activation=lambda v: 1 - (-v).exp(),
            conjugate_of_activation=lambda v: v.exp() - 1,
        ),
        Divergence(
            "js",
            f=lambda u: u * u.log() - (u + 1) * ((1 + u) / 2).log(),
            optimal=lambda u: (2 * u / (1 + u)).log(),
            conjugate=lambda t: -(2 - t.exp()).log(),
            activation=lambda v: LOG2 - F.softplus(-v),
            conjugate_of_activation=lambda v: F.softplus(v) - LOG2,
        ),
        Divergence(
            "gan",
            f=lambda u: u * u.log() - (u + 1) * (u + 1).log(),
            optimal=lambda u: (u / (1 + u)).log(),
            conjugate=lambda t: -(1 - t.exp()).log(),
            activation=lambda v: -F.softplus(-v),
            conjugate_of_activation=lambda v: F.softplus(v),
        ),
    )
}


def variational_bound(divergence: Divergence, real: Tensor, fake: Tensor) -> Tensor:
    """E g_f(V(x)) - E f*(g_f(V(G(z)))), at most D_f(data || generator). arXiv:1606.00709, equation 6."""
    return divergence.activation(real).mean() - divergence.conjugate_of_activation(fake).mean()


def generator_f(divergence: Divergence, fake: Tensor) -> Tensor:
    """-E g_f(V(G(z))), the generator's heuristic of arXiv:1606.00709, section 3.2: (B,) -> ()."""
    return -divergence.activation(fake).mean()


def generator_f_exact(divergence: Divergence, fake: Tensor) -> Tensor:
    """-E f*(g_f(V(G(z)))): the saddle-point generator of arXiv:1606.00709, Algorithm 1: (B,) -> ()."""
    return -divergence.conjugate_of_activation(fake).mean()
