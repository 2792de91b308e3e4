"""Frechet distance between the Gaussians of two feature sets; FID when the features are Inception's.

Heusel et al. 2017 (arXiv:1706.08500): |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) with unbiased covariances, in
float64. The trace of the root is the sum of singular values of F1 F2^T for any factors S = F^T F, which needs no root
of a non-symmetric matrix, no jitter and no full rank: singular covariances and constant features are ordinary cases.

Shapes      N rows, F features, R rank.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.errors import BadConfig, BadInput, NotApplicable
from ganbench.metrics.base import Score, check_events, check_pair, metric, signature
from ganbench.ops.pairwise import center_of, slices

INCEPTION = "inception-tf2015"  # the space of published FIDs; torchvision's Inception-v3 is another


@dataclass(frozen=True)
class Moments:
    """Count, mean and scatter of rows in float64; `+` merges parts, so shards give the moments of the whole."""

    n: int
    mean: Tensor  # (F,)
    scatter: Tensor  # (F, F) sum of centred outer products

    @classmethod
    def of(cls, x: Tensor) -> Moments:
        """Moments of rows (N, F), in blocks: no float64 copy of the set."""
        total = center_of(x).double()
        scatter = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64, device=x.device)
        shift = torch.zeros_like(total)
        for i in slices(len(x), 4096):
            centred = x[i].double() - total
            scatter += centred.T @ centred
            shift += centred.sum(0)
        shift /= len(x)  # what the rounded centre was off by
        return cls(len(x), total + shift, scatter - len(x) * torch.outer(shift, shift))

    def __add__(self, other: Moments) -> Moments:
        if self.mean.shape != other.mean.shape:
            raise BadInput(f"parts must have one number of features; got {len(self.mean)} and {len(other.mean)}")
        n, gap = self.n + other.n, other.mean - self.mean
        scatter = self.scatter + other.scatter + torch.outer(gap, gap) * (self.n * other.n / n)
        return Moments(n, self.mean + gap * (other.n / n), scatter)

    @property
    def covariance(self) -> Tensor:
        """Unbiased covariance (F, F)."""
        return self.scatter / (self.n - 1)

    def factor(self) -> Tensor:
        """F (R, F) with F^T F the covariance; directions below rounding are dropped."""
        values, vectors = torch.linalg.eigh(self.covariance)
        keep = values > values[-1].clamp(min=0) * len(values) * torch.finfo(values.dtype).eps
        columns: Tensor = vectors[:, keep] * values[keep].sqrt()
        return columns.T


def frechet_distance(a: Moments, b: Moments) -> float:
    """Squared Frechet (2-Wasserstein) distance between the Gaussians with these moments; never negative."""
    root = float(torch.linalg.svdvals(a.factor() @ b.factor().T).sum())
    means = float((a.mean - b.mean).square().sum())
    return max(means + float(a.covariance.trace()) + float(b.covariance.trace()) - 2 * root, 0.0)


@metric("frechet", direction="min", needs=("features", "reference_features", "space", "rng"))
def frechet(
    features: Tensor,
    reference_features: Tensor,
    *,
    rng: torch.Generator,
    space: str = "features",
    extrapolation: int = 5,
) -> Score:
    """Frechet distance of features (N, F) and (M, F) under any extractor; not comparable with published FID.

    It is biased upward by a term near c / N that depends on the model (Chong and Forsyth 2020, arXiv:1911.07023), so N
    is in the signature and `extra["infinite_n"]` holds the intercept at 1/N = 0 of a line through `extrapolation`
    nested random subsets of the samples, from N/2 to N (0 skips it; the bias of the reference remains). `se` is the
    spread of the value over draws of both sets, to first order (the Gaussian transport potentials of the rows); it
    does not contain the bias.
    Raises `BadInput` for sets it cannot use.
    """
    return _score("frechet", features, reference_features, rng, space, extrapolation)


@metric("fid", direction="min", needs=("features", "reference_features", "space", "rng"))
def fid(
    features: Tensor,
    reference_features: Tensor,
    *,
    rng: torch.Generator,
    space: str = "features",
    extrapolation: int = 5,
) -> Score:
    """Frechet distance of pool3 features (N, 2048) of TensorFlow's Inception of 2015: the published FID.

    Value, error and extrapolation are those of `frechet`. Raises `NotApplicable` unless `space` names that
    network (`inception_tf2015`).
    """
    if not space.startswith(INCEPTION):
        raise NotApplicable(
            f"fid needs features of inception_tf2015, a space named {INCEPTION}...; got {space!r}; use frechet"
        )
    return _score("fid", features, reference_features, rng, space, extrapolation)


def _score(name: str, features: Tensor, reference: Tensor, rng: torch.Generator, space: str, sizes: int) -> Score:
    x = check_events(features, "features", at_least=2)
    y = check_events(reference, "reference_features", at_least=2)
    check_pair(features, reference, "features", "reference_features")
    if sizes < 0 or sizes == 1:
        raise BadConfig(f"extrapolation must be 0 or at least 2 sizes; got {sizes}")
    a, b = Moments.of(x), Moments.of(y)
    if not math.isfinite(float(a.scatter.sum() + b.scatter.sum())):
        raise BadInput("features must have finite squares in float64; scale them down")
    variance = float(_potential(x, a, b).var()) / len(x) + float(_potential(y, b, a).var()) / len(y)
    extra: dict[str, float] = {"rank_bound": min(len(x) - 1, x.shape[1])}
    if sizes and len(x) >= 8:
        extra |= {"infinite_n": _infinite(x, b, sizes, rng)}
    text = signature(name, f"n={len(x)}", f"m={len(y)}", space, "f64")
    return Score(name, frechet_distance(a, b), len(x), text, "min", se=variance**0.5, extra=extra)


def _potential(x: Tensor, a: Moments, b: Moments) -> Tensor:
    """Derivative of the distance in the weight of each row of x, whose moments are a: (N,), up to a constant.

    With T the optimal map of the covariances, 2 (m_a - m_b).(x - m_a) + (x - m_a)^T (I - T) (x - m_a).
    """
    root = a.factor()  # (R, F)
    weights = torch.linalg.pinv(root)  # (F, R)
    inner = root @ b.covariance @ root.T
    values, vectors = torch.linalg.eigh(inner)
    middle = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    transport = weights @ middle @ weights.T  # (F, F), zero outside the span of x
    quadratic = torch.eye(len(transport), dtype=torch.float64, device=x.device) - transport
    slope = 2 * (a.mean - b.mean)
    out = torch.empty(len(x), dtype=torch.float64, device=x.device)
    for i in slices(len(x), 4096):
        centred = x[i].double() - a.mean
        out[i] = centred @ slope + ((centred @ quadratic) * centred).sum(1)
    return out


def _infinite(x: Tensor, b: Moments, sizes: int, rng: torch.Generator) -> float:
    """Intercept at 1/N = 0 of a least-squares line through values at `sizes` nested subsets from N/2 to N."""
    order = torch.randperm(len(x), generator=rng, device=rng.device).to(x.device)
    counts = torch.linspace(len(x) // 2, len(x), sizes, dtype=torch.float64).long().tolist()
    values, part, start = [], None, 0
    for count in counts:
        step = Moments.of(x[order[start:count]])
        part, start = step if part is None else part + step, count
        values.append(frechet_distance(part, b))
    inverse = 1 / torch.tensor(counts, dtype=torch.float64)
    value = torch.tensor(values, dtype=torch.float64)
    slope = ((inverse - inverse.mean()) * (value - value.mean())).sum() / (inverse - inverse.mean()).square().sum()
    return float(value.mean() - slope * inverse.mean())
