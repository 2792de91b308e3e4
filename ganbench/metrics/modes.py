"""Modes captured, share of high-quality samples and reverse KL on Gaussian mixtures whose modes are known.

VEEGAN (arXiv:1705.07761) and PacGAN (arXiv:1712.04086): 2,500 samples; one is of high quality if it lies within three
standard deviations of its nearest mode; a mode is captured if at least one high-quality sample is nearest to it.

Shapes      N samples, K modes, D dimensions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.data import Mixture
from ganbench.errors import BadInput
from ganbench.metrics.base import Score, check_events, metric, signature
from ganbench.metrics.intervals import wilson


@metric(
    "modes",
    direction="max",
    needs=("samples", "mixture"),
    returns=("modes", "modes_hq", "modes_reverse_kl"),
)
def modes(samples: Tensor, mixture: Mixture, *, n: int = 2500, radius: float = 3.0) -> list[Score]:
    """Three scores over the first `n` samples (N, D), fewer where there are fewer.

    modes               number of modes with at least one high-quality sample nearest to them
    modes_hq            share of samples within `radius` standard deviations (Euclidean) of their nearest mode, with
                        Wilson's interval; a perfect sampler reaches P(chi_D <= radius), .988891 for 3 in 2-D
    modes_reverse_kl    KL(p_g || uniform) in nats, p_g the histogram of high-quality samples over modes; ln K when
                        there is none (the worst value). Even a perfect sampler has (K-1)/2N on average.

    "At least one" saturates: `extra` of `modes` also counts modes that hold a tenth of their fair share, and lists the
    counts and the missing modes. Raises `BadInput` for a wrong shape, non-finite rows or no samples.
    """
    x = check_events(samples, "samples")[:n].double()
    means = mixture.means.to(x.device).double()
    k, d = means.shape
    if x.shape[1] != d:
        raise BadInput(f"samples must have {d} dimensions as the mixture has; got {x.shape[1]}")
    nearest = torch.empty(len(x), dtype=torch.long, device=x.device)
    good = torch.empty(len(x), dtype=torch.bool, device=x.device)
    for i in range(0, len(x), 4096):
        square = (x[i : i + 4096, None] - means).square().sum(-1)  # (B, K)
        least, nearest[i : i + 4096] = square.min(1)
        good[i : i + 4096] = least <= (radius * mixture.std) ** 2
    counts = torch.bincount(nearest[good], minlength=k)
    return scores_from_counts(counts, len(x), f"radius={radius:g}")


def scores_from_counts(counts: Tensor, n: int, rule: str) -> list[Score]:
    """The three scores from high-quality counts per mode (K,) out of n samples; counts of shards add up."""
    k, hq = len(counts), int(counts.sum())
    captured = int((counts > 0).sum())
    share = counts.double() / max(hq, 1)
    log_ratio = torch.log(share * k).masked_fill(counts == 0, 0.0)
    kl = float((share * log_ratio).sum()) if hq else math.log(k)
    kl_se = math.sqrt(max(0.0, float((share * log_ratio.square()).sum()) - kl**2) / hq) if hq else None
    parts = (f"K={k}", f"n={n}", rule)
    fair = max(1.0, 0.1 * n / k)
    extra = {
        "K": k,
        "counts": counts.tolist(),
        "missing": torch.nonzero(counts == 0).flatten().tolist(),
        "modes_with_tenth_of_share": int((counts >= fair).sum()),
    }
    return [
        Score("modes", float(captured), n, signature("modes", *parts), "max", extra=extra),
        Score(
            "modes_hq",
            hq / n,
            n,
            signature("modes_hq", *parts),
            "max",
            se=math.sqrt(hq / n * (1 - hq / n) / n),
            interval=wilson(hq, n),
        ),
        Score(
            "modes_reverse_kl",
            max(kl, 0.0),
            n,
            signature("modes_reverse_kl", *parts),
            "min",
            se=kl_se,
            extra={"high_quality": hq, "expected_bias": (k - 1) / (2 * hq) if hq else None},
        ),
    ]
