"""Inception score and mode score from class posteriors, with a jackknife standard error and the bias of K and N.

Salimans et al. 2016 (arXiv:1606.03498); Che et al. 2017 (arXiv:1612.02136); Xu et al. 2018 (arXiv:1806.07755).

Shapes      N samples, K classes, G groups of samples, S splits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganbench.errors import BadInput
from ganbench.metrics.base import Score, check_probs, metric, signature

GROUPS = 100  # delete-a-group jackknife: its standard error is itself good to about 1 / sqrt(2 * 100) = 7 %


@dataclass(frozen=True)
class ClassSums:
    """All that IS and mode score need of N posteriors, summed per group; shards of one data set add up.

    Sample i belongs to a group that depends on i alone, so any sharding gives the same groups.
    """

    n: Tensor  # (G,) samples
    plogp: Tensor  # (G,) sum of sum_k p log p, in nats
    p: Tensor  # (G, K) sum of p
    p_square: Tensor  # (G, K) sum of p^2

    @classmethod
    def of(cls, probs: Tensor, group: Tensor, n_groups: int) -> ClassSums:
        """Sums of posteriors (N, K) whose samples lie in `group` (N,), numbered below `n_groups`."""
        p = probs.double()
        zero = p.new_zeros(n_groups)
        table = p.new_zeros(n_groups, p.shape[1])
        return cls(
            zero.index_add(0, group, torch.ones_like(p[:, 0])),
            zero.index_add(0, group, torch.xlogy(p, p).sum(1)),
            table.index_add(0, group, p),
            table.index_add(0, group, p.square()),
        )

    def __add__(self, other: ClassSums) -> ClassSums:
        if self.p.shape != other.p.shape:
            raise BadInput(
                f"parts must share groups and classes; got {tuple(self.p.shape)} and {tuple(other.p.shape)}; "
                "number the groups of the whole set, then cut it"
            )
        return ClassSums(self.n + other.n, self.plogp + other.plogp, self.p + other.p, self.p_square + other.p_square)

    def total(self) -> ClassSums:
        """All groups as one: G = 1."""
        return ClassSums(*(t.sum(0, keepdim=True) for t in (self.n, self.plogp, self.p, self.p_square)))

    def without_each(self) -> ClassSums:
        """Row g holds the sums of all groups but g."""
        all_ = self.total()
        return ClassSums(
            all_.n - self.n, all_.plogp - self.plogp, (all_.p - self.p).clamp_min(0), all_.p_square - self.p_square
        )

    def marginal(self) -> Tensor:
        """Mean posterior of each group: (G, K)."""
        return self.p / self.n[:, None]

    def log_is(self) -> Tensor:
        """log IS = H(y) - H(y|x) of each group in nats: (G,)."""
        q = self.marginal()
        return (self.plogp / self.n - torch.xlogy(q, q).sum(1)).clamp_min(0)  # >= 0 by Jensen; rounding is not


def jackknife_variance(n: Tensor, value: Tensor, left_out: Tensor) -> float:
    """Variance of an estimate from its values with each group left out, groups of unequal size allowed.

    Busing, Meijer and van der Leeden 1999, equation 7. `n`, `left_out`: (G,); `value`: the estimate from all groups.
    """
    keep = n > 0
    n, left_out = n[keep], left_out[keep]
    g = len(n)
    if g < 2:
        return math.nan
    h = n.sum() / n
    mean = g * value - ((1 - 1 / h) * left_out).sum()
    pseudo = h * value - (h - 1) * left_out
    return float(((pseudo - mean).square() / (h - 1)).mean())


def class_correlation(labels: Tensor) -> float:
    """z-score of the number of neighbours in file order that share a label; about N(0, 1) when the order is random.

    Under a random order each of the N-1 adjacent pairs agrees with probability sum_k n_k (n_k - 1) / (N (N - 1)).
    """
    n = len(labels)
    if n < 3:
        return 0.0
    counts = torch.bincount(labels).double()
    agree = float((counts * (counts - 1)).sum()) / (n * (n - 1))
    if agree in (0.0, 1.0):
        return 0.0
    share = float((labels[1:] == labels[:-1]).double().mean())
    return (share - agree) / math.sqrt(agree * (1 - agree) / (n - 1))


def _check_splits(n: int, splits: int) -> None:
    if splits < 1 or splits > n:
        raise BadInput(f"splits must lie in [1, {n}] for {n} samples; got {splits}; use splits=1 or more samples")


@metric("inception_score", direction="max", bounds=(1, None))
def inception_score(
    probs: Tensor, *, rng: torch.Generator, splits: int = 10, shuffle: bool = True, space: str = "probs"
) -> Score:
    """exp of the mean KL(p(y|x) || p(y)): the mean over `splits` parts, as published; natural log, float64.

    Between 1 and K; N and `splits` both move the value: the marginal of n samples has a log bias of about
    -(1/2n) (sum_k E p_k^2 / p_k - 1), which is (K-1)/2n for one-hot posteriors. `extra` holds the split-free value,
    the value corrected for that bias, the population standard deviation over splits (the +- of the literature,
    which is not a standard error), K and N. The samples are shuffled with `rng` before they are split; a file sorted
    by class is reported in `extra["class_sorted"]`, and refused when `shuffle=False`.

    `probs` (N, K) are probabilities, never logits. `se` is the delete-a-group jackknife's.
    Raises `BadInput` for logits, rows that do not sum to 1, N < splits, or class-sorted order without shuffling.
    """
    p = check_probs(probs)
    n = len(p)
    _check_splits(n, splits)
    z = class_correlation(p.argmax(1))
    class_sorted = z > 6
    if class_sorted and not shuffle:
        raise BadInput(
            f"probs come sorted by class (neighbours agree {z:.0f} standard deviations above chance), so splits in "
            "file order would each see few classes; use shuffle=True"
        )
    group = split_groups(n, splits, rng if shuffle else None).to(p.device)
    return score_from_sums(ClassSums.of(p, group, int(group.max()) + 1), splits, shuffle, class_sorted, space)


def split_groups(n: int, splits: int, rng: torch.Generator | None) -> Tensor:
    """The group of each of n samples, shuffled unless `rng` is None, so that groups nest in `splits` parts: -> (N,).

    Number the groups of the whole set, then cut samples and groups alike: sums of the shards add up to the whole's.
    """
    _check_splits(n, splits)
    order = torch.arange(n) if rng is None else torch.randperm(n, generator=rng, device=rng.device)
    per_split = max(1, min(GROUPS // splits, n // splits))
    group = torch.empty(n, dtype=torch.long, device=order.device)
    place = torch.arange(1, n + 1, device=order.device)
    group[order] = (place * (splits * per_split) - 1) // n  # split s = group // per_split is [s N // S, (s + 1) N // S)
    return group


def score_from_sums(sums: ClassSums, splits: int, shuffle: bool, class_sorted: bool, space: str) -> Score:
    """The inception score of (merged) sums whose groups nest in `splits` consecutive parts."""
    per_split = len(sums.n) // splits
    parts = [
        ClassSums(*(t[s * per_split : (s + 1) * per_split] for t in (sums.n, sums.plogp, sums.p, sums.p_square)))
        for s in range(splits)
    ]
    values = torch.cat([part.total().log_is() for part in parts]).exp()
    variance = [
        jackknife_variance(part.n, value, part.without_each().log_is().exp())
        for part, value in zip(parts, values, strict=True)
    ]
    whole = sums.total()
    n, k = int(whole.n), sums.p.shape[1]
    free = float(whole.log_is().exp())
    bias = float(_log_bias(whole))
    split_bias = torch.stack([_log_bias(part.total()) for part in parts])
    se = math.sqrt(sum(variance)) / splits
    extra: dict[str, Any] = {
        "K": k,
        "N": n,
        "splits": splits,
        "split_std": float(values.std(unbiased=False)),
        "split_free": free,
        "log_bias": bias,
        "split_free_corrected": min(float(k), free * math.exp(-bias)),
        "corrected": min(float(k), float((values * torch.exp(-split_bias)).mean())),
        "class_sorted": class_sorted,
    }
    order = "shuffled" if shuffle else "file-order"
    text = signature("is", f"K={k}", f"n={n}", f"splits={splits}", order, space, "f64")
    return Score("inception_score", float(values.mean()), n, text, "max", None if math.isnan(se) else se, extra=extra)


def _log_bias(whole: ClassSums) -> Tensor:
    """First-order bias of log IS, from the second-order expansion of the entropy of the mean posterior: ()."""
    q = whole.marginal()[0]
    seen = q > 0
    spread = (whole.p_square[0] / whole.n[0])[seen] / q[seen]
    return -(spread.sum() - 1) / (2 * whole.n[0])


def _groups(probs: Tensor) -> ClassSums:
    """Sums in groups that interleave the file, so that a sorted file leaves every group the same classes."""
    n = len(probs)
    g = min(GROUPS, n)
    return ClassSums.of(probs, torch.arange(n, device=probs.device) % g, g)


def _kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) in nats over the last axis; infinite where q misses a class of p."""
    return (torch.xlogy(p, p) - torch.where(p > 0, p * q.log(), 0.0)).sum(-1)


def _mode(g: ClassSums, r: ClassSums) -> Tensor:
    return torch.exp(g.log_is() - _kl(g.marginal(), r.marginal()))


@metric("mode_score", direction="max", bounds=(0, None))
def mode_score(probs: Tensor, reference_probs: Tensor, *, space: str = "probs") -> Score:
    """IS * exp(-KL(p_g(y) || p_r(y))), the informative mode score of Xu et al. 2018: in (0, K], and 0 off p_r.

    p_r is the scorer's mean posterior on the reference, no label histogram; no splits. 0 when the samples use a class
    that p_r gives no mass to (named in `extra["absent"]`). `se` adds the jackknife variances of samples and reference.
    Raises `BadInput` for logits, rows that do not sum to 1, or different K.
    """
    return mode_score_from_sums(*_pair(probs, reference_probs), space)


def mode_score_from_sums(g: ClassSums, r: ClassSums, space: str) -> Score:
    """The mode score of (merged) sums of samples and of the reference."""
    value = _mode(g.total(), r.total())
    p_g, p_r = g.total().marginal()[0], r.total().marginal()[0]
    absent = torch.nonzero((p_g > 0) & (p_r == 0)).flatten().tolist()
    variance = jackknife_variance(g.n, value, _mode(g.without_each(), r.total())) + jackknife_variance(
        r.n, value, _mode(g.total(), r.without_each())
    )
    n, k = int(g.n.sum()), g.p.shape[1]
    extra = {
        "K": k,
        "inception_score": float(g.total().log_is().exp()),
        "kl": float(_kl(p_g, p_r)) if not absent else None,
        "absent": absent,
        "class_share": p_g.tolist(),
        "reference_share": p_r.tolist(),
    }
    text = signature("mode", "xu", f"K={k}", f"n={n}", f"m={int(r.n.sum())}", space, "f64")
    se = None if math.isnan(variance) else math.sqrt(variance)
    return Score("mode_score", float(value), n, text, "max", se, extra=extra)


@metric("mode_score_che", direction="max", bounds=(1, None))
def mode_score_che(probs: Tensor, reference_probs: Tensor, *, space: str = "probs") -> Score:
    """exp(E_x KL(p(y|x) || p_r) - KL(p_g || p_r)), the mode score as Che et al. 2017 print it. It equals IS.

    Proof: E_x KL(p(y|x) || p_r) = E_x sum_y p(y|x) [log p(y|x)/p_g(y) + log p_g(y)/p_r(y)]
    = E_x KL(p(y|x) || p_g) + KL(p_g || p_r), since E_x p(y|x) = p_g. The second term cancels, whatever p_r is.

    It is computed as printed, over the classes p_r gives mass to; where the samples use another class both terms are
    infinite and the input is refused. Raises `BadInput` then, and for logits, rows that do not sum to 1, different K.
    """
    g, r = _pair(probs, reference_probs)
    whole, p_r = g.total(), r.total().marginal()[0]
    p_g = whole.marginal()[0]
    absent = torch.nonzero((p_g > 0) & (p_r == 0)).flatten().tolist()
    if absent:
        raise BadInput(f"reference_probs give no mass to classes {absent} that probs use: infinity minus infinity")
    cross = torch.where(p_g > 0, p_g * p_r.log(), 0.0).sum()
    value = torch.exp(whole.plogp[0] / whole.n[0] - cross - _kl(p_g, p_r))
    variance = jackknife_variance(g.n, value, g.without_each().log_is().exp())
    n, k = int(whole.n), g.p.shape[1]
    text = signature("mode", "che", f"K={k}", f"n={n}", f"m={int(r.n.sum())}", space, "f64")
    return Score("mode_score_che", float(value), n, text, "max", None if math.isnan(variance) else math.sqrt(variance))


def _pair(probs: Tensor, reference_probs: Tensor) -> tuple[ClassSums, ClassSums]:
    p, q = check_probs(probs), check_probs(reference_probs, "reference_probs")
    if p.shape[1] != q.shape[1]:
        raise BadInput(f"probs and reference_probs must share K; got {p.shape[1]} and {q.shape[1]}")
    return _groups(p), _groups(q.to(p.device))
