"""Kernel two-sample distances: the squared MMD with any of four kernels, and KID.

Estimators follow Gretton et al. 2012 (JMLR 13); KID is Binkowski et al. 2018 (arXiv:1801.01401). Kernel values are
formed in the dtype of the input and summed in float64: for float32 the value agrees with float64 to about 1e-7 of the
mean kernel value. One tiled pass gives the value, its standard error and, where asked for, the subsets of KID.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from ganbench.errors import BadConfig, BadInput
from ganbench.metrics.base import Score, check_sets, metric, signature
from ganbench.metrics.partial import Shares, check_same
from ganbench.ops.kernels import (
    RBF,
    GramSums,
    InverseMultiquadric,
    Kernel,
    Linear,
    Polynomial,
    gram_sums,
    gram_within,
    median_distance,
    membership,
    subset_mmd2,
    subset_sums,
)
from ganbench.ops.pairwise import ALL, Part, precision_name

KernelName = Literal["rbf", "polynomial", "imq", "linear"]
Estimator = Literal["unbiased", "biased", "block"]


@metric("mmd", direction="min", degree=0, holds_for={"kernel": ("rbf", "imq"), "bandwidth": (None,)})
def mmd(
    samples: Tensor,
    reference: Tensor,
    *,
    rng: torch.Generator,
    kernel: KernelName = "rbf",
    bandwidth: float | Sequence[float] | None = None,
    estimator: Estimator = "unbiased",
    block_size: int | None = None,
    root: bool = False,
    permutations: int = 0,
) -> Score:
    """Squared MMD between samples (N, *E) and reference (M, *E), with a standard error over both draws.

    `bandwidth`  rbf: standard deviations in data units, several are summed; imq: scales in squared data units. Default:
                 the median distance within the reference (its square for imq), so models are compared on one kernel.
    `estimator`  "unbiased" (default, may be negative), "biased", or "block": the mean of unbiased values over disjoint
                 blocks of `block_size` (default: the root of the smaller set), whose spread is its error.
    `root`       MMD instead of its square; only for "biased", the others can be negative.
    `permutations`  above 0, adds `p_value` of the hypothesis of equal laws from that many relabellings.
    Raises `BadInput` for sets it cannot use, `BadConfig` for options that do not go together.
    """
    if root and estimator != "biased":
        raise BadConfig(f"root=True needs estimator='biased'; got {estimator!r}, whose value can be negative")
    if estimator == "block":
        score, chosen = _block_score(samples, reference, kernel, bandwidth, block_size, rng)
    else:
        sums = MMDSums.of(samples, reference, kernel=kernel, bandwidth=bandwidth)
        score, chosen = sums.score(estimator, root), sums.kernel
    if permutations > 0:
        x, y = check_sets(samples=samples, reference=reference, at_least=2)
        p_value = permutation_p_value(x, y, chosen, permutations, rng)
        score = replace(score, extra=score.extra | {"p_value": p_value, "permutations": permutations})
    return score


@dataclass(frozen=True)
class MMDSums:
    """Kernel sums over one share of the pairs of rows; shares of one pair of sets add up."""

    gram: GramSums
    shares: Shares
    kernel: Kernel
    label: str  # of the kernel, in the signature
    precision: str
    extra: dict[str, Any]

    @classmethod
    def of(
        cls,
        samples: Tensor,
        reference: Tensor,
        *,
        kernel: KernelName = "rbf",
        bandwidth: float | Sequence[float] | None = None,
        part: Part = ALL,
    ) -> MMDSums:
        """Share k of K, `part` = (k, K), of the tiles of the three Gram matrices; the rest as for `mmd`.

        Raises `BadInput` for sets it cannot use, `BadConfig` for a kernel or share that there is not.
        """
        x, y = check_sets(samples=samples, reference=reference, at_least=2)
        shares = Shares.one(part)
        chosen, label, extra = _kernel(kernel, bandwidth, y)
        return cls(gram_sums(x, y, chosen, part=part), shares, chosen, label, precision_name(x), extra)

    def __add__(self, other: MMDSums) -> MMDSums:
        check_same(self, other, "kernel", "precision")
        check_same(self.gram, other.gram, "n", "m")
        return replace(self, gram=self.gram + other.gram, shares=self.shares + other.shares)

    def score(self, estimator: Literal["unbiased", "biased"] = "unbiased", root: bool = False) -> Score:
        """MMD^2, or its root if biased, with its standard error. Raises `BadInput` while shares are missing."""
        self.shares.check_complete()
        if estimator not in ("unbiased", "biased"):
            raise BadConfig(f"estimator must be unbiased, biased or (of mmd alone) block; got {estimator!r}")
        value = self.gram.unbiased if estimator == "unbiased" else self.gram.biased
        se = self.gram.variance**0.5
        if root:
            value = value**0.5
            se = se / (2 * value) if value > 0 else se**0.5
        n, m = self.gram.n, self.gram.m
        parts = (self.label, estimator, f"n={n}", f"m={m}", "x", self.precision)
        return Score("mmd", value, n, signature("mmd" if root else "mmd2", *parts), "min", se=se, extra=self.extra)


@metric("kid", direction="min", returns=("kid", "kid_full"), power=12, smallest=1e-4)
def kid(
    features: Tensor,
    reference_features: Tensor,
    *,
    rng: torch.Generator,
    space: str = "features",
    subsets: int = 100,
    subset_size: int | None = None,
    full: bool = True,
) -> list[Score]:
    """Kernel inception distance: unbiased MMD^2 of features (N, F), (M, F) under (x.y / F + 1)^3.

    `kid` is the published protocol, the mean over random subsets of 1000 (or of half the smaller set, where that is
    less; the signature says). Its spread over subsets, which papers print after a plus-minus, is in `extra`: it is not
    the standard error. `se` is: given the data, the subset mean scatters around the full value, so the variances add.
    `kid_full` is the unbiased value over all pairs. It costs one pass over all pairs, from which the subsets follow
    by sums; `full=False` skips it, for very large sets, and takes the standard error from the subsets to first order.
    Papers multiply by 1000; this does not. Raises `BadInput` when a subset is larger than a set.
    """
    if full:
        return KIDSums.of(
            features, reference_features, rng=rng, space=space, subsets=subsets, subset_size=subset_size
        ).scores()
    x, y, index_x, index_y = _subsets(features, reference_features, rng, subsets, subset_size)
    values = subset_mmd2(x, y, Polynomial(1 / x.shape[1]), index_x, index_y)
    share = index_x.shape[1] / min(len(x), len(y))
    variance = float(values.var()) * (share / (1 - share) if share < 1 else 1.0)
    return [_kid_score(values, variance, index_x.shape[1], len(x), len(y), space, precision_name(x))]


@dataclass(frozen=True)
class KIDSums:
    """KID's subsets and kernel sums over one share of the pairs of rows; shares of one pair of sets add up."""

    subsets: Tensor  # (S,) this share's part of the MMD^2 of each subset
    gram: GramSums
    shares: Shares
    first_rows: tuple[int, ...]  # of the S subsets, which tell one draw of them from another
    subset_size: int
    space: str
    precision: str

    @classmethod
    def of(
        cls,
        features: Tensor,
        reference_features: Tensor,
        *,
        rng: torch.Generator,
        space: str = "features",
        subsets: int = 100,
        subset_size: int | None = None,
        part: Part = ALL,
    ) -> KIDSums:
        """Share k of K, `part` = (k, K); everything else as for `kid`, with the same seed in each share.

        Raises what `kid` raises, and `BadConfig` unless 0 <= k < K.
        """
        shares = Shares.one(part)
        x, y, index_x, index_y = _subsets(features, reference_features, rng, subsets, subset_size)
        values, gram = subset_sums(x, y, Polynomial(1 / x.shape[1]), index_x, index_y, part=part)
        first_rows = tuple(index_x[:, 0].tolist())
        return cls(values, gram, shares, first_rows, index_x.shape[1], space, precision_name(x))

    def __add__(self, other: KIDSums) -> KIDSums:
        check_same(self, other, "subset_size", "space", "precision")
        check_same(self.gram, other.gram, "n", "m")
        if self.first_rows != other.first_rows:
            raise BadInput("parts must draw the same subsets; seed the generator of every share alike")
        return replace(
            self, subsets=self.subsets + other.subsets, gram=self.gram + other.gram, shares=self.shares + other.shares
        )

    def scores(self) -> list[Score]:
        """`kid` and `kid_full`. Raises `BadInput` while shares are missing."""
        self.shares.check_complete()
        n, m, variance = self.gram.n, self.gram.m, self.gram.variance
        text = signature("kid_full", "unbiased", f"n={n}", f"m={m}", self.space, self.precision)
        return [
            _kid_score(self.subsets, variance, self.subset_size, n, m, self.space, self.precision),
            Score("kid_full", self.gram.unbiased, n, text, "min", se=variance**0.5),
        ]


def _subsets(
    features: Tensor, reference: Tensor, rng: torch.Generator, subsets: int, size: int | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Both sets as matrices and the rows (S, B) of their subsets."""
    x, y = check_sets(features=features, reference_features=reference, at_least=4)
    n, m = len(x), len(y)
    size = size or min(1000, n // 2, m // 2)
    if not 2 <= size <= min(n, m):
        raise BadInput(f"subset_size must be from 2 to the smaller set's {min(n, m)} rows; got {size}")
    if subsets < 2:
        raise BadConfig(f"subsets must be at least 2; got {subsets}")
    index_x = draw_subsets(n, size, subsets, rng).to(x.device)
    return x, y, index_x, draw_subsets(m, size, subsets, rng).to(x.device)


def _kid_score(values: Tensor, variance: float, size: int, n: int, m: int, space: str, precision: str) -> Score:
    """The published mean over subsets, whose scatter given the data adds to the variance over draws of the data."""
    subsets, std = len(values), float(values.std(correction=0))
    text = signature("kid", f"subsets={subsets}x{size}", f"n={n}", f"m={m}", space, precision)
    extra = {"subset_std": std, "subsets": subsets, "subset_size": size}
    se = (variance + std**2 / subsets) ** 0.5
    return Score("kid", float(values.mean()), n, text, "min", se=se, extra=extra)


def draw_subsets(n: int, size: int, subsets: int, rng: torch.Generator) -> Tensor:
    """Index sets without repeats within each: -> (subsets, size)."""
    return torch.stack([torch.randperm(n, generator=rng, device=rng.device)[:size] for _ in range(subsets)])


def permutation_p_value(x: Tensor, y: Tensor, kernel: Kernel, permutations: int, rng: torch.Generator) -> float:
    """Share of relabellings of the pooled rows whose unbiased MMD^2 reaches the observed one (which counts as one).

    All relabellings are columns of one thin matrix, so they take a single tiled pass over the pooled set.
    """
    n, m = len(x), len(y)
    pooled = torch.cat([x, y])
    drawn = draw_subsets(n + m, n, permutations, rng).to(x.device)
    labels = membership(torch.cat([torch.arange(n, device=x.device)[None], drawn]), n + m)  # (N + M, 1 + P)
    product, _ = gram_within(pooled, kernel, torch.cat([labels, torch.ones_like(labels[:, :1])], 1))
    total = product[:, -1].sum()
    to_all = product[:, :-1].sum(0)
    within_x = (labels.double() * product[:, :-1]).sum(0)
    between = to_all - within_x
    within_y = total - to_all - between
    values = within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m)
    return float((values >= values[0]).double().mean())


def _kernel(
    name: KernelName, bandwidth: float | Sequence[float] | None, y: Tensor
) -> tuple[Kernel, str, dict[str, Any]]:
    """The kernel, its part of the signature and its details."""
    if name == "linear":
        return Linear(), "linear", {}
    if name == "polynomial":
        return Polynomial(1 / y.shape[1]), "polynomial-3", {}
    if name not in ("rbf", "imq"):
        raise BadConfig(f"kernel must be rbf, polynomial, imq or linear; got {name!r}")
    if bandwidth is None:
        median = median_distance(y)
        if median == 0:
            raise BadInput("reference must not repeat one point in half its pairs or more; pass bandwidth=... instead")
        widths: tuple[float, ...] = (median if name == "rbf" else median**2,)
        label = f"{name}-median"
    else:
        widths = tuple(map(float, bandwidth)) if isinstance(bandwidth, Sequence) else (float(bandwidth),)
        label = f"{name}-" + "-".join(f"{w:g}" for w in widths)
        if not widths or not all(0 < w < float("inf") for w in widths):
            raise BadConfig(f"bandwidth must be positive and finite; got {bandwidth}")
    kernel: Kernel = RBF(widths) if name == "rbf" else InverseMultiquadric(widths)
    return kernel, label, {"bandwidth": list(widths)}


def _block_score(
    samples: Tensor,
    reference: Tensor,
    name: KernelName,
    bandwidth: float | Sequence[float] | None,
    size: int | None,
    rng: torch.Generator,
) -> tuple[Score, Kernel]:
    """Block estimator of Zaremba et al. 2013 (arXiv:1307.1954) and its kernel."""
    x, y = check_sets(samples=samples, reference=reference, at_least=2)
    kernel, label, extra = _kernel(name, bandwidth, y)
    smaller = min(len(x), len(y))
    size = size or max(2, int(smaller**0.5))
    count = smaller // size
    if size < 2 or count < 2:
        raise BadConfig(f"block_size must give at least 2 blocks of at least 2 rows; got {size} for {smaller} rows")
    order_x = torch.randperm(len(x), generator=rng, device=rng.device)[: count * size].view(count, size)
    order_y = torch.randperm(len(y), generator=rng, device=rng.device)[: count * size].view(count, size)
    values = subset_mmd2(x, y, kernel, order_x.to(x.device), order_y.to(x.device))
    parts = (label, f"block={size}", "block", f"n={len(x)}", f"m={len(y)}", "x", precision_name(x))
    se = float(values.std()) / count**0.5
    score = Score("mmd", float(values.mean()), len(x), signature("mmd2", *parts), "min", se=se, extra=extra)
    return score, kernel
