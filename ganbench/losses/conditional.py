"""Objectives of discriminators that judge whether an event is real and whether it is what was asked for.

Shapes      B batch; logits are (B,), every loss ().
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def discriminator_matching(real_logits: Tensor, wrong_logits: Tensor, fake_logits: Tensor, wrong: float) -> Tensor:
    """-E log D(x, y) - w E log(1 - D(x, y')) - (1 - w) E log(1 - D(G(z, y), y)), with w = `wrong` in [0, 1).

    Real pairs are true; real events under the condition y' of others are as false as fakes. Reed et al. 2016,
    arXiv:1605.05396, Algorithm 1, is w = 1/2; w = 0 is the conditional GAN. Where the pairs of y' have the law q, the
    generator's optimum is (p - w q) / (1 - w) if that is nowhere negative: p only where p and q do not overlap.
    """
    false = wrong * F.softplus(wrong_logits).mean() + (1 - wrong) * F.softplus(fake_logits).mean()
    return F.softplus(-real_logits).mean() + false


def symmetric_classification(affinity: Tensor) -> Tensor:
    """Each row of an event picks its column, each column its row: (B, B) affinities, true pairs on the diagonal -> ().

    Cross entropies in both directions, a smooth bound on the 0-1 losses of arXiv:1605.05396, equation 2.
    """
    own = torch.arange(len(affinity), device=affinity.device)
    return 0.5 * (F.cross_entropy(affinity, own) + F.cross_entropy(affinity.t(), own))
