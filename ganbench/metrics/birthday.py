"""The birthday-paradox test: how many distinct events a generator has, from the pairs that collide in a sample.

Arora and Zhang 2017 (arXiv:1706.08224) draw s samples and let a person look for duplicates; here the eye is replaced by
a distance threshold calibrated on held-out real events, and the pairs are kept for the eye that doubts it.

Shapes      S samples, H held-out events, D dimensions, E colliding pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.stats import chi2
from torch import Tensor

from ganbench.errors import BadInput
from ganbench.metrics.base import Score, check_events, check_pair, metric, signature
from ganbench.ops.closest_pairs import closest_pairs, first_equal
from ganbench.ops.neighbors import pair_squares

TAIL = 10  # smallest real distances that tell how their distribution falls towards zero


@dataclass(frozen=True)
class Collisions:
    """Pairs i < j of S samples that lie within the threshold."""

    pairs: Tensor  # (E, 2)
    distances: Tensor  # (E,)
    n: int  # S

    @property
    def n_pairs(self) -> float:
        """All pairs among the samples."""
        return self.n * (self.n - 1) / 2


@metric("birthday", direction="max", version=2, degree=0, bounds=(0, None))
def birthday(
    samples: Tensor,
    holdout: Tensor,
    *,
    rng: torch.Generator,
    n: int = 2000,
    false_pairs: float = 0.05,
    permutations: int = 200,
    sheet: int = 20,
    space: str = "x",
) -> Score:
    """Effective support size C(S, 2) / E: the inverse of the probability that two samples are the same event.

    E counts the pairs among (at most `n`) samples closer than the threshold below which `false_pairs` pairs would be
    expected among as many real events. C(S,2)/E estimates 1 / sum p_i^2 (Renyi-2 size), a lower bound of the support
    size; they agree when the support is uniform. `interval` is Garwood's, widened when a few events take most pairs.

    `extra`: exact and near pairs and constant images apart; `collision_share` = [s, share of random draws of s that
    hold a collision]; `size_50` = the s where half of them do, with the estimates size_50^2 (as in the paper) and
    size_50^2 / (2 ln 2) (the uniform support that gives it); the closest `sheet` pairs by index into `samples`.
    `lower_bound` is the one-sided 95 % lower bound, with collisions or without; without any `value` is C(S, 2) and
    `extra["censored"]` is true. Where real events repeat exactly, as binary ones do, samples as good as they repeat as
    often: `expected_real_pairs` holds those repeats, too.

    Raises `BadInput` for shapes that differ, fewer than 2 samples, fewer than 50 held-out events or 3 distinct ones.
    """
    x = check_events(samples, "samples", at_least=2)
    real = check_events(holdout, "holdout", at_least=50)
    check_pair(samples, holdout, "samples", "holdout")
    index = torch.randperm(len(x), generator=rng, device=rng.device)[:n].to(x.device)
    x = x[index]
    line = calibrate(real, len(x), false_pairs, rng)
    threshold = line.threshold
    found = collisions(x, threshold)
    e, all_pairs = len(found.pairs), found.n_pairs
    low, high = pairs_interval(found)
    first = first_collisions(found, permutations, rng)
    size_50 = _median(first, len(x))
    constant = (x == x[:, :1]).all(1) if samples.ndim > 2 else torch.zeros(len(x), dtype=torch.bool, device=x.device)
    both_constant = constant[found.pairs].all(1)
    varied = e - int(both_constant.sum())
    kept = int((~constant).sum())
    sizes = [s for s in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000) if s <= len(x)]
    closest = found.pairs[found.distances.argsort(stable=True)[:sheet]]
    apart = pair_squares(x, x, *closest.unbind(1)).sqrt().tolist()
    flagged = index[closest].tolist()
    extra = {
        "pairs": e,
        "exact_pairs": int((found.distances == 0).sum()),
        "near_pairs": int((found.distances > 0).sum()),
        "constant_images": len(x) - kept,
        "constant_pairs": e - varied,
        "size_without_constant": kept * (kept - 1) / 2 / varied if varied else None,
        "threshold": threshold,
        "real_dimension": line.dimension,
        "expected_real_pairs": false_pairs + line.repeats,
        "censored": e == 0,
        "lower_bound": all_pairs / pairs_interval(found, level=0.9)[1],  # one-sided at 95 %
        "collision_share": [[s, float((first <= s).double().mean())] for s in sizes],
        "size_50": size_50,
        "support_paper": size_50**2 if size_50 else None,
        "support_uniform": size_50**2 / (2 * math.log(2)) if size_50 else None,
        "closest_pairs": [[i, j, d] for (i, j), d in zip(flagged, apart, strict=True)],
    }
    parts = (f"n={len(x)}", f"real={len(real)}", f"alpha={false_pairs:g}", space, "f64")
    text = signature("birthday", *parts, version=2)
    interval = (all_pairs / high, all_pairs / low) if e else None
    return Score("birthday", all_pairs / max(e, 1), len(x), text, "max", interval=interval, extra=extra)


@dataclass(frozen=True)
class Calibration:
    """Where "the same event" begins, from real events."""

    threshold: float
    dimension: float | None  # exponent of the law of small distances; None where they are all equal
    repeats: float  # pairs of exact copies that as many real events would hold as there are samples


def calibrate(real: Tensor, n: int, false_pairs: float, rng: torch.Generator, most: int = 4000) -> Calibration:
    """The distance below which `n` distinct real events would hold `false_pairs` pairs on average.

    Near zero the share of real pairs closer than t is c t^d, and of the k smallest distances t_1 <= ... <= t_k
    S = sum log(t_k / t_i) tells d while t_k tells c. The k-th smallest share is Gamma(k) / C(H, 2), and d S is
    Gamma(k - 1) and independent of it, so t_k exp(-a S) leaves k (1 + a)^-(k - 1) pairs of the held-out events below
    it on average: as many as wanted for a = (k / wanted)^(1 / (k - 1)) - 1. (Hill's estimate of d put in as if it were
    d leaves more, for the pairs are convex in it.)

    Where the smallest distances tie (binary, integer, lattice data) there is no such law: when it would reach the
    smallest distance, with less than one pair wanted, half of that distance is the threshold.

    Raises `BadInput` when there are fewer than three distinct held-out events.
    """
    most = min(most, max(50, 4 * n))  # more would look for more false pairs than the tail holds
    if len(real) > most:
        real = real[torch.randperm(len(real), generator=rng, device=rng.device)[:most].to(real.device)]
    first, copies = first_equal(real).unique(return_counts=True)
    of_samples, of_real = n * (n - 1) / 2, len(real) * (len(real) - 1) / 2
    repeats = float((copies * (copies - 1)).sum()) / 2 * of_samples / of_real
    real, h = real[first], len(first)
    if h < 3:
        raise BadInput(f"holdout must hold at least 3 distinct events to calibrate a threshold; got {h}")
    t = closest_pairs(real, TAIL)[1]
    k, wanted = len(t), false_pairs * h * (h - 1) / 2 / of_samples  # of the held-out pairs
    spread = float(torch.log(t[-1] / t).sum())
    threshold = float(t[-1]) * math.exp(-spread * ((k / wanted) ** (1 / (k - 1)) - 1))
    if threshold >= float(t[0]) and wanted < 1:
        threshold = float(t[0]) / 2
    return Calibration(threshold, (k - 2) / spread if spread > 0 else None, repeats)


def collisions(x: Tensor, threshold: float) -> Collisions:
    """All pairs of rows of x (S, D) within `threshold`, decided in float64: copies by bytes, doubtful pairs directly.

    Lengths are those of a matrix product, whose rounding is below 1e-6 of the largest norm; of copies they are 0.
    """
    first, x = first_equal(x), x.double()
    centred = x - x.mean(0)
    norm = centred.square().sum(1)
    slack = 1e-12 * float(norm.max()) * x.shape[1] ** 0.5  # above the rounding of the expanded square
    tiny = torch.finfo(torch.float64).tiny
    found, lengths = [], []
    for i in range(0, len(x), 1024):
        block = slice(i, i + 1024)
        square = norm[block, None] + norm[i:] - 2 * centred[block] @ centred[i:].T
        close = torch.triu(square <= threshold**2 + slack, 1).nonzero()
        squares = square[close[:, 0], close[:, 1]].clamp(min=tiny)
        close += i
        copies = first[close[:, 0]] == first[close[:, 1]]
        squares[copies] = 0.0
        doubtful = (~copies & (squares > threshold**2 - slack)).nonzero().flatten()
        squares[doubtful] = pair_squares(x, x, *close[doubtful].unbind(1))
        keep = squares <= threshold**2
        found.append(close[keep])
        lengths.append(squares[keep].sqrt())
    return Collisions(torch.cat(found), torch.cat(lengths), len(x))


def pairs_interval(found: Collisions, level: float = 0.95) -> tuple[float, float]:
    """Interval of the expected number of colliding pairs.

    E is Poisson when all events are alike. When few events take most pairs, pairs that share a sample are dependent:
    Var E = C(S,2) q (1-q) + S(S-1)(S-2) (r - q^2) with r = P(i~j and i~k), estimated from the samples' degrees. The
    count is divided by the overdispersion Var E / E before Garwood's interval is read, and multiplied back.
    """
    e, s = len(found.pairs), found.n
    degree = torch.bincount(found.pairs.flatten(), minlength=s).double()
    q = e / found.n_pairs
    r = float((degree * (degree - 1)).sum()) / max(s * (s - 1) * (s - 2), 1)
    variance = found.n_pairs * q * (1 - q) + s * (s - 1) * (s - 2) * (r - q * q)
    excess = max(1.0, variance / e) if e else 1.0
    tail = (1 - level) / 2
    low = float(chi2.ppf(tail, 2 * e / excess)) / 2 if e else 0.0
    high = float(chi2.ppf(1 - tail, 2 * e / excess + 2)) / 2
    return excess * low, min(excess * high, found.n_pairs)


def first_collisions(found: Collisions, permutations: int, rng: torch.Generator) -> Tensor:
    """Draw samples one by one in random orders: how many were drawn at the first collision, S + 1 for never: (P,)."""
    out = torch.full((permutations,), found.n + 1)
    if not len(found.pairs):
        return out
    pairs = found.pairs.cpu()
    for k in range(permutations):
        rank = torch.empty(found.n, dtype=torch.long)
        rank[torch.randperm(found.n, generator=rng, device=rng.device).cpu()] = torch.arange(1, found.n + 1)
        out[k] = rank[pairs].amax(1).min()
    return out


def _median(first: Tensor, n: int) -> float | None:
    """Median first collision; None when half of the orders or more never collide."""
    middle = float(first.double().quantile(0.5))
    return middle if middle <= n else None
