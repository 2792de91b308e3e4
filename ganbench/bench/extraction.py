"""Features of pictures: ours, and the loop of torch's examples over the network as it was trained.

Shapes      N pictures (N, 3, 32, 32), F = 1,280 features.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ganbench.scorers.efficientnet import ImageNetLite0, network, weights

BATCH = 64
# Of the mean feature. In float32 batch norms are folded into convolutions, which rounds; bfloat16 has 8 bits.
LEAST_TOLERANCE = {False: 1e-4, True: 3e-2}


class Pictures:
    """Random pictures and both ways through the network."""

    def __init__(self, n: int, bfloat16: bool) -> None:
        rough = torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
        self.x = F.interpolate(rough, (32, 32), mode="bilinear")
        self.scorer, self.plain = ImageNetLite0(bfloat16=bfloat16), network(weights())

    def ours(self) -> float:
        """Mean feature through the scorer."""
        return float(self.scorer.features(self.x).mean())

    @torch.no_grad()
    def eval_loop(self) -> float:
        """Mean feature through model.eval() in float32, batch by batch, as torch's ImageNet example validates."""
        found: list[Tensor] = []
        for batch in self.x.split(BATCH):
            x = F.interpolate(batch, (96, 96), mode="bilinear", align_corners=False, antialias=True)
            found.append(self.plain.features((x * 127.5 + 0.5) / 128))
        return float(torch.cat(found).mean())
