"""Frechet distance between the Gaussians of two feature sets; FID when the features are Inception's.

Heusel et al. 2017 (arXiv:1706.08500): |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) with unbiased covariances, in
float64. The trace of the root is the sum of singular values of F1 F2^T for any factors S = F^T F, which needs no root
of a non-symmetric matrix, no jitter and no full rank: singular covariances and constant features are ordinary cases.
Of few rows the centred rows are such factors, so 64 images of 3,072 pixels never meet a matrix of 3,072 x 3,072.

Shapes      N rows, F features, R rank.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.errors import BadConfig, BadInput, NotApplicable
from ganbench.metrics.base import Score, check_events, check_sets, metric, signature
from ganbench.ops.pairwise import center_of, slices, sum_rows

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
    return _distance(a, b, torch.linalg.svdvals(a.factor() @ b.factor().T).sum())


def _distance(a: Moments, b: Moments, root: Tensor) -> float:
    means = float((a.mean - b.mean).square().sum())
    return max(means + float(a.covariance.trace()) + float(b.covariance.trace()) - 2 * float(root), 0.0)


@metric("frechet", direction="min", degree=2, bounds=(0, None))
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
    nested random subsets of the samples, from N/2 to N (0 skips it; the bias of the reference remains), with its
    error beside it, `infinite_n_se`: an extrapolation is less certain than the value. `se` is the
    spread of the value over draws of both sets, to first order (the Gaussian transport potentials of the rows); it
    does not contain the bias.
    Raises `BadInput` for sets it cannot use.
    """
    return _score("frechet", features, reference_features, rng, space, extrapolation)


@metric("fid", direction="min", degree=2, bounds=(0, None))
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


OF_MOMENTS = ("fid", "frechet")  # metrics to which a Gaussian will do in place of the reference


def usual_name(space: str) -> str:
    """What the distance is called that is usual for a space: `fid` for the Inception of 2015."""
    return "fid" if space.startswith(INCEPTION) else "frechet"


def frechet_to_moments(name: str, features: Tensor, mean: Tensor, covariance: Tensor, space: str) -> Score:
    """`fid` or `frechet` of features (N, F) from a Gaussian of which only mean (F,) and covariance (F, F) are known.

    Without the reference's rows there is no standard error. Raises `BadInput`, and `NotApplicable` for `fid` of another
    network than its own.
    """
    if name == "fid" and not space.startswith(INCEPTION):
        raise NotApplicable("fid needs features of inception_tf2015; use frechet")
    x = check_events(features, "features", at_least=2)
    if mean.shape != x.shape[1:]:
        raise BadInput(f"the statistics must have the {x.shape[1]} features of {space}; they have {len(mean)}")
    a, b = Moments.of(x), Moments(2, mean.double(), covariance.double())  # of two rows the scatter is the covariance
    text = signature(name, f"n={len(x)}", "m=moments", space, "f64")
    return Score(name, frechet_distance(a, b), len(x), text, "min")


def _score(name: str, features: Tensor, reference: Tensor, rng: torch.Generator, space: str, sizes: int) -> Score:
    x, y = check_sets(features=features, reference_features=reference, at_least=2)
    if sizes < 0 or sizes == 1:
        raise BadConfig(f"extrapolation must be 0 or at least 2 sizes; got {sizes}")
    pair = pair_of(x, y)
    of_x, of_y = (float(p.var()) for p in pair.potentials())
    extra: dict[str, float] = {"rank_bound": min(len(x) - 1, x.shape[1])}
    if sizes and len(x) >= 8:
        value, spread = _infinite(pair, sizes, rng)
        extra |= {"infinite_n": value, "infinite_n_se": (of_x * spread + of_y / len(y)) ** 0.5}
    text = signature(name, f"n={len(x)}", f"m={len(y)}", space, "f64")
    se = (of_x / len(x) + of_y / len(y)) ** 0.5
    return Score(name, pair.distance, len(x), text, "min", se=se, extra=extra)


def pair_of(x: Tensor, y: Tensor) -> Rows | Features:
    """The two sets in the smaller form. Raises `BadInput` where squares overflow."""
    pair = Rows(x, y) if len(x) * len(y) <= x.shape[1] ** 2 else Features(x, y)
    if not math.isfinite(pair.distance):
        raise BadInput("features must have finite squares in float64; scale them down")
    return pair


class Rows:
    """Few rows: their centred rows are factors themselves, and row against row (N, M) is all that is needed."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y, self.means = x, y, (_mean(x), _mean(y))
        self.cross = torch.empty(len(x), len(y), dtype=torch.float64, device=x.device)
        for i in slices(len(x), 1024):
            rows = x[i].double() - self.means[0]
            for j in slices(len(y), 1024):
                self.cross[i, j] = rows @ (y[j].double() - self.means[1]).T
        self.squares = tuple(_squares(s, m) for s, m in zip((x, y), self.means, strict=True))
        finite = bool(torch.isfinite(self.cross).all())
        shape = self.cross if finite else torch.zeros(1, 1, dtype=torch.float64)
        self.left, values, right = torch.linalg.svd(shape, full_matrices=False)
        self.right, self.root = right.T, values / ((len(x) - 1) * (len(y) - 1)) ** 0.5
        gap = float((self.means[0] - self.means[1]).square().sum())
        traces = sum(float(s.sum()) / (len(s) - 1) for s in self.squares)
        self.distance = max(gap + traces - 2 * float(self.root.sum()), 0.0) if finite else math.inf

    def potentials(self) -> Iterator[Tensor]:
        """Derivative of the distance in the weight of each row of x, then of y, up to a constant: (N,), (M,).

        With T the optimal map of the covariances, 2 (m_a - m_b).(x - m_a) + (x - m_a)^T (I - T) (x - m_a).
        """
        a, b = self.means
        for s, mean, other, squares, vectors in (
            (self.x, a, b, self.squares[0], self.left),
            (self.y, b, a, self.squares[1], self.right),
        ):
            yield _linear(s, mean, other) + squares - (len(s) - 1) * (vectors.square() @ self.root)

    def nested(self, order: Tensor, counts: list[int]) -> Iterator[float]:
        """The distance of the first `counts` rows of x in this order from all of y."""
        trace = float(self.squares[1].sum()) / (len(self.y) - 1)
        for n in counts:
            part = order[:n]
            shift = _mean(self.x[part]) - self.means[0]
            cross = self.cross[part]
            root = torch.linalg.svdvals(cross - cross.mean(0)).sum() / ((n - 1) * (len(self.y) - 1)) ** 0.5
            own = (float(self.squares[0][part].sum()) - n * float(shift.square().sum())) / (n - 1)
            gap = float((self.means[0] + shift - self.means[1]).square().sum())
            yield max(gap + own + trace - 2 * float(root), 0.0)


class Features:
    """Many rows: factors of the covariances (F, F), that of the reference made once."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y, self.a, self.b = x, y, Moments.of(x), Moments.of(y)
        self.distance = math.inf
        if math.isfinite(float(self.a.scatter.sum() + self.b.scatter.sum())):
            self.factors = self.a.factor(), self.b.factor()
            self.left, self.root, right = torch.linalg.svd(self.factors[0] @ self.factors[1].T, full_matrices=False)
            self.right = right.T
            self.distance = _distance(self.a, self.b, self.root.sum())

    def potentials(self) -> Iterator[Tensor]:
        """As of `Rows`."""
        for s, own, other, factor, vectors in (
            (self.x, self.a, self.b, self.factors[0], self.left),
            (self.y, self.b, self.a, self.factors[1], self.right),
        ):
            # The factor's rows are orthogonal, so its pseudo-inverse is its transpose over their squared lengths.
            map_ = factor.T / factor.square().sum(1) @ vectors * self.root.sqrt()
            out = _linear(s, own.mean, other.mean) + _squares(s, own.mean)
            for i in slices(len(s), 4096):
                out[i] -= ((s[i].double() - own.mean) @ map_).square().sum(1)
            yield out

    def nested(self, order: Tensor, counts: list[int]) -> Iterator[float]:
        """As of `Rows`."""
        part, start = None, 0
        for n in counts:
            step = Moments.of(self.x[order[start:n]])
            part, start = step if part is None else part + step, n
            if n == len(self.x):
                yield self.distance
            else:
                yield _distance(part, self.b, torch.linalg.svdvals(part.factor() @ self.factors[1].T).sum())


def _mean(x: Tensor) -> Tensor:
    return sum_rows(x) / len(x)


def _squares(x: Tensor, mean: Tensor) -> Tensor:
    return torch.cat([(x[i].double() - mean).square().sum(1) for i in slices(len(x), 4096)])


def _linear(x: Tensor, own: Tensor, other: Tensor) -> Tensor:
    return torch.cat([(x[i].double() - own) @ (2 * (own - other)) for i in slices(len(x), 4096)])


def _infinite(pair: Rows | Features, sizes: int, rng: torch.Generator) -> tuple[float, float]:
    """Intercept at 1/N = 0 of a least-squares line through values at `sizes` nested subsets from N/2 to N; its spread.

    The intercept is a weighted sum of the values, and each value, to first order, a mean over the subset's rows of one
    potential: so it is a weighted sum over rows. Its spread is the sum of their squared weights, 1/N for a plain mean.
    """
    n = len(pair.x)
    order = torch.randperm(n, generator=rng, device=rng.device).to(pair.x.device)
    counts = torch.linspace(n // 2, n, sizes, dtype=torch.float64).long().tolist()
    value = torch.tensor(list(pair.nested(order, counts)), dtype=torch.float64)
    size = torch.tensor(counts, dtype=torch.float64)
    centred = 1 / size - (1 / size).mean()
    weights = 1 / sizes - centred * (1 / size).mean() / centred.square().sum()  # of the values in the intercept
    of_rows = (weights / size).flip(0).cumsum(0).flip(0)  # rows that came with subset k are in it and all larger ones
    fresh = size.diff(prepend=size.new_zeros(1))
    return float(weights @ value), float((fresh * of_rows.square()).sum())
