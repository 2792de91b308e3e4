"""The last frame moved on at the speed between the last two: right until something bounces, or two things move apart.

Not a model: a control row. Phase correlation (Kuglin and Hines 1975): the normalised cross-power spectrum of two frames
that differ by a shift is a peak at the shift.

Shapes      B clips, S frames shown, (C, H, W) of a frame.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.model import Budget, Model, NotApplicable, Split, register


@register("control_phase_correlation", family="control", gives=("predict",), events=("clip",))
class PhaseCorrelation(Model):
    """A constant shift."""

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        return None

    def predict(self, frames: Tensor, k: int, rng: torch.Generator) -> Tensor:
        if frames.shape[1] < 2:
            raise NotApplicable("a speed takes two frames; got one")
        before, last = ((frames[:, i] + 1) / 2 for i in (-2, -1))
        shift = shifts(before.mean(1), last.mean(1))  # (B, 2)
        moved = [moved_by(last, (h + 1) * shift) for h in range(k)]
        return torch.stack(moved, 1) * 2 - 1


def shifts(a: Tensor, b: Tensor) -> Tensor:
    """Rows and columns by which b is a moved, to a part of a pixel: (B, H, W), (B, H, W) -> (B, 2)."""
    sides = a.shape[1:]
    padded = [2 * s for s in sides]  # so that nothing wraps around
    spectrum = torch.fft.rfft2(b, s=padded) * torch.fft.rfft2(a, s=padded).conj()
    peak = torch.fft.irfft2(spectrum / spectrum.abs().clamp(min=1e-3 * float(spectrum.abs().max())), s=padded)
    best = peak.flatten(1).argmax(1)
    row, column = best // padded[1], best % padded[1]
    rows, batch = torch.arange(-1, 2, device=a.device), torch.arange(len(a), device=a.device).view(-1, 1, 1)
    near = peak[
        batch, (row.view(-1, 1, 1) + rows.view(1, 3, 1)) % padded[0], (column.view(-1, 1, 1) + rows) % padded[1]
    ].clamp(min=0)  # (B, 3, 3) around the peak, whose centre of mass is the shift
    mass = near.sum((1, 2)).clamp(min=1e-9)
    found = [
        whole - side * (whole >= side // 2) + (near.sum(axis) * rows).sum(1) / mass
        for whole, side, axis in ((row, padded[0], 2), (column, padded[1], 1))
    ]
    return torch.stack(found, 1)


def moved_by(x: Tensor, shift: Tensor) -> Tensor:
    """Frames in [0, 1] moved by rows and columns, dark where nothing was: (B, C, H, W), (B, 2) -> (B, C, H, W)."""
    h, w = x.shape[2:]
    theta = torch.eye(2, 3, device=x.device).repeat(len(x), 1, 1)
    theta[:, 0, 2], theta[:, 1, 2] = -2 * shift[:, 1] / w, -2 * shift[:, 0] / h
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)
