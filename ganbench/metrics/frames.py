"""Predicted frames of clips against those that came: squared error and structural similarity at each horizon.

Source      Srivastava et al. 2015 (summed squared error a frame, of pixels in [0, 1]); Wang et al. 2004 (SSIM).
Shapes      N clips, K horizons, (C, H, W) of a frame.
"""

from __future__ import annotations

import math

from torch import Tensor

from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.base import Score, check_sets, metric, signature
from ganbench.metrics.translation import structural_similarity


@metric(
    "frames",
    direction="min",
    asks=("predict",),
    returns=(
        "frame_sse_1", "frame_sse_2", "frame_sse_3", "frame_sse_4", "frame_sse_5",
        "frame_ssim_1", "frame_ssim_2", "frame_ssim_3", "frame_ssim_4", "frame_ssim_5",
    ),
    bounds={"frame_sse_*": (0, None), "frame_ssim_*": (-1, 1)},
)  # fmt: skip
def frames(predicted: Tensor, future: Tensor) -> list[Score]:
    """Summed squared error of pixels in [0, 1], and SSIM, of frame 1, 2, ... after the last that was shown.

    (N, K, C, H, W) in [-1, 1], both; errors are over clips. Raises `BadInput` where they are not of the same clips.
    """
    check_sets(predicted=predicted, future=future)
    if len(predicted) != len(future):
        raise BadInput(f"predicted and future must be of the same clips; got {len(predicted)} and {len(future)}")
    if predicted.ndim != 5:
        raise NotApplicable(f"frames are compared of clips (N, K, C, H, W); got shape {tuple(predicted.shape)}")
    squared = ((predicted.double() - future.double()) / 2).square().sum((2, 3, 4))  # (N, K)
    scores = [_mean(f"frame_sse_{k + 1}", squared[:, k], "min") for k in range(squared.shape[1])]
    return scores + [
        _mean(f"frame_ssim_{k + 1}", structural_similarity(predicted[:, k], future[:, k]), "max")
        for k in range(squared.shape[1])
    ]


def _mean(name: str, each: Tensor, direction: str) -> Score:
    """The mean over clips (N,) with its standard error."""
    n = len(each)
    se = float(each.std()) / math.sqrt(n) if n > 1 else None
    return Score(name, float(each.mean()), n, signature(name, f"n={n}"), direction, se)  # type: ignore[arg-type]
