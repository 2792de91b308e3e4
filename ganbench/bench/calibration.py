"""A frozen set of small measurements of the machine itself, by which rates measured on other days are scaled.

A trend divides a rate by the score of its class, and compares within one device class only; where the scores before and
after a run differ by more than 5 % the run is left out. The vector is never changed: another one gets another id.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ganbench.bench.timing import Clock, repeat

ID = "cal/1"
STEADY = 0.05  # drift above which a run takes no part in a trend


@dataclass(frozen=True)
class Calibration:
    """Scores in calls per second, higher is faster."""

    scores: dict[str, float]

    def drift(self, later: Calibration) -> float:
        """Largest relative difference of a score between two measurements."""
        return max(abs(math.expm1(math.log(later.scores[k] / v))) for k, v in self.scores.items())


def measure(device: str = "cpu", clock: Clock = "wall", seconds: float = 0.4) -> Calibration:
    """Run the vector: products in two precisions, a convolution, a copy, dispatch of small calls, a sort."""
    rng = torch.Generator().manual_seed(0)

    def normal(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.randn(*shape, generator=rng).to(device, dtype)

    a, d = normal(512, 512), normal(256, 256, dtype=torch.float64)
    image, kernel = normal(8, 16, 64, 64), normal(16, 16, 3, 3)
    large, target, small, row = normal(1 << 22), normal(1 << 22), normal(8), normal(1 << 16)
    calls = {
        "matmul_f32": lambda: a @ a,
        "matmul_f64": lambda: d @ d,
        "conv": lambda: torch.conv2d(image, kernel, padding=1),
        "copy": lambda: target.copy_(large),
        "dispatch": lambda: small + small,
        "sort": lambda: row.sort(),
    }
    return Calibration({k: 1 / repeat(f, clock=clock, seconds=seconds, least=7).best for k, f in calls.items()})
