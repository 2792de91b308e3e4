"""Modes captured, share of high-quality samples and reverse KL on Gaussian mixtures whose modes are known.

VEEGAN (arXiv:1705.07761) and PacGAN (arXiv:1712.04086): 2,500 samples; one is of high quality if it lies within three
standard deviations of its nearest mode; a mode is captured if at least one high-quality sample is nearest to it.

Shapes      N samples, K modes, D dimensions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.data import Mixture
from ganbench.errors import BadInput
from ganbench.metrics.base import Score, check_events, metric, signature
from ganbench.metrics.partial import check_same
from ganbench.ops.pairwise import slices
from ganbench.stats import wilson


@metric(
    "modes",
    direction="max",
    returns=("modes", "modes_hq", "modes_reverse_kl"),
    bounds={"modes": (0, None), "modes_hq": (0, 1), "modes_reverse_kl": (0, None)},
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
    return ModeSums.of(check_events(samples, "samples")[:n], mixture, radius=radius).scores()


@dataclass(frozen=True)
class ModeSums:
    """High-quality samples of each mode; those of shards of the samples add up."""

    counts: Tensor  # (K,) int64
    n: int  # samples, of high quality or not
    mixture: Mixture
    radius: float

    @classmethod
    def of(cls, samples: Tensor, mixture: Mixture, *, radius: float = 3.0) -> ModeSums:
        """Counts of samples (N, D), all of them. Raises what `modes` raises."""
        x = check_events(samples, "samples").double()
        means = mixture.means.to(x.device).double()
        k, d = means.shape
        if x.shape[1] != d:
            raise BadInput(f"samples must have {d} dimensions as the mixture has; got {x.shape[1]}")
        nearest = torch.empty(len(x), dtype=torch.long, device=x.device)
        good = torch.empty(len(x), dtype=torch.bool, device=x.device)
        for i in slices(len(x), 4096):
            square = (x[i, None] - means).square().sum(-1)  # (B, K)
            least, nearest[i] = square.min(1)
            good[i] = least <= (radius * mixture.std) ** 2
        return cls(torch.bincount(nearest[good], minlength=k), len(x), mixture, radius)

    def __add__(self, other: ModeSums) -> ModeSums:
        check_same(self, other, "radius")
        if self.mixture.std != other.mixture.std or not torch.equal(self.mixture.means, other.mixture.means):
            raise BadInput("parts must count the modes of one mixture; got two; compute both with the same mixture")
        return ModeSums(self.counts + other.counts, self.n + other.n, self.mixture, self.radius)

    def scores(self) -> list[Score]:
        """The three scores of `modes`."""
        counts, n = self.counts, self.n
        k, hq = len(counts), int(counts.sum())
        captured = int((counts > 0).sum())
        kl, kl_se = kl_to_uniform(counts)
        parts = (f"K={k}", f"n={n}", f"radius={self.radius:g}")
        fair = max(1.0, 0.1 * n / k)
        extra = {
            "K": k,
            "counts": counts.tolist(),
            "missing": torch.nonzero(counts == 0).flatten().tolist(),
            "modes_with_tenth_of_share": int((counts >= fair).sum()),
        }
        quality_se = math.sqrt(hq / n * (1 - hq / n) / n)
        kl_extra = {"high_quality": hq, "expected_bias": (k - 1) / (2 * hq) if hq else None}
        captured_text, quality_text, kl_text = (
            signature(name, *parts) for name in ("modes", "modes_hq", "modes_reverse_kl")
        )
        return [
            Score("modes", float(captured), n, captured_text, "max", extra=extra),
            Score("modes_hq", hq / n, n, quality_text, "max", se=quality_se, interval=wilson(hq, n)),
            Score("modes_reverse_kl", kl, n, kl_text, "min", se=kl_se, extra=kl_extra),
        ]


def kl_to_uniform(counts: Tensor) -> tuple[float, float | None]:
    """KL(histogram || uniform) in nats of counts (K,), and its standard error; ln K, the worst, without any counts.

    Even a perfect sampler has (K - 1) / 2N on average.
    """
    k, n = len(counts), int(counts.sum())
    if n == 0:
        return math.log(k), None
    share = counts.double() / n
    log_ratio = torch.log(share * k).masked_fill(counts == 0, 0.0)
    kl = float((share * log_ratio).sum())
    return max(kl, 0.0), math.sqrt(max(0.0, float((share * log_ratio.square()).sum()) - kl**2) / n)
