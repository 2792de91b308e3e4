"""Ways between codes: straight, and along the sphere on which codes of a normal prior lie.

Source      White 2016, "Sampling Generative Networks" (arXiv:1609.04468), section 2.
Shapes      Z latent; leading axes broadcast.
"""

from __future__ import annotations

import torch
from torch import Tensor


def lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """(1 - t) a + t b: (..., Z), (..., Z), (..., 1) -> (..., Z). Halfway the norm of normal codes falls by sqrt 2."""
    return a + t * (b - a)


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Sines of the angle's parts in place of 1 - t and t, which keeps the norm: (..., Z), (..., Z), (..., 1).

    Where the codes are parallel it is `lerp`.
    """
    norms = a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True)
    angle = ((a * b).sum(-1, keepdim=True) / norms.clamp_min(1e-12)).clamp(-1, 1).acos()
    sine = angle.sin()
    arc: Tensor = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / sine.clamp_min(1e-6)
    return torch.where(sine > 1e-3, arc, lerp(a, b, t))
