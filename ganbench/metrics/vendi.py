"""Vendi score: the effective number of different samples, by the entropy of a similarity matrix's spectrum.

Friedman and Dieng 2022 (arXiv:2210.02410): exp(-sum l log l) over the eigenvalues l of K/N, with K_ii = 1. It looks at
the samples alone, so it rewards diversity of any kind, noise included, and is biased low in N.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ganbench.errors import BadConfig, BadInput
from ganbench.metrics.base import Score, check_events, metric, signature
from ganbench.ops.kernels import RBF, gram
from ganbench.ops.pairwise import slices


@metric("vendi", direction="max", degree=0, holds_for={"kernel": ("cosine",)}, bounds=(1, None))
def vendi(
    features: Tensor,
    *,
    space: str = "features",
    kernel: Literal["cosine", "rbf"] = "cosine",
    bandwidth: float | None = None,
    at_most: int = 20_000,
) -> Score:
    """Vendi score of features (N, F): 1 when all are alike, N when no two are.

    "cosine" works on the F x F matrix of unit rows or the N x N one, which have one spectrum, whichever is smaller;
    "rbf" needs `bandwidth` and forms N x N, at most `at_most` rows. `se` is first order: the entropy is a mean over
    rows of -x^T log(C) x with C the mean of x x^T, so its error is their spread. Raises `BadInput` for zero rows
    (cosine) and too many rows (rbf).
    """
    x = check_events(features, "features")
    n = len(x)
    if kernel == "cosine":
        values, surprise = _cosine(x)
    elif kernel == "rbf":
        if bandwidth is None or not bandwidth > 0:
            raise BadConfig(f"kernel='rbf' needs a positive bandwidth; got {bandwidth}")
        if n > at_most:
            raise BadInput(f"features must hold at most {at_most} rows for an rbf Vendi score; got {n}; draw fewer")
        values, surprise = _dense(x, bandwidth)
    else:
        raise BadConfig(f"kernel must be cosine or rbf; got {kernel!r}")
    value = float((-torch.xlogy(values, values).sum()).exp())
    se = value * float(surprise.std()) / n**0.5 if n > 1 else None
    label = kernel if bandwidth is None else f"{kernel}-{bandwidth:g}"
    text = signature("vendi", label, f"n={n}", space, "f64")
    return Score("vendi", value, n, text, "max", se=se)


def _cosine(x: Tensor) -> tuple[Tensor, Tensor]:
    """Spectrum of the mean of x x^T over unit rows, and -x^T log(mean) x of each row."""
    lengths = torch.cat([x[i].double().norm(dim=1) for i in slices(len(x), 4096)])
    if bool((lengths == 0).any()):
        row = int((lengths == 0).nonzero()[0])
        raise BadInput(f"features must not be zero for a cosine; row {row} is; add an offset or use kernel='rbf'")
    if len(x) < x.shape[1]:
        unit = x.double() / lengths[:, None]
        return _entropies(unit @ unit.T)
    mean = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64, device=x.device)
    for i in slices(len(x), 4096):
        unit = x[i].double() / lengths[i, None]
        mean += unit.T @ unit
    values, vectors = torch.linalg.eigh(mean / len(x))
    values = values.clamp(min=0)
    logs = -values.clamp(min=1e-300).log()
    surprise = [
        ((x[i].double() / lengths[i, None]) @ vectors).square() @ torch.where(values > 0, logs, 0.0)
        for i in slices(len(x), 4096)
    ]
    return values, torch.cat(surprise)


def _dense(x: Tensor, bandwidth: float) -> tuple[Tensor, Tensor]:
    """Spectrum of K/N for an rbf kernel, and the same per-row terms."""
    x = x.double()
    return _entropies(gram(x, x, RBF((bandwidth,))))


def _entropies(k: Tensor) -> tuple[Tensor, Tensor]:
    """Spectrum of K/N for a similarity matrix (N, N), and each row's part in the entropy, from its eigenvectors."""
    values, vectors = torch.linalg.eigh(k / len(k))
    values = values.clamp(min=0)
    return values, vectors.square() @ (-torch.xlogy(values, values)) * len(k)
