"""What likelihood says of a model: its own log probability of the test set, Parzen windows, reconstruction error.

Source      Goodfellow et al. 2014, section 5, after Breuleux et al. 2011 (Parzen windows); Theis et al. 2016,
            arXiv:1511.01844, on why neither ranks samples.
Shapes      N samples, M test events, D numbers in an event.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.base import Score, check_events, check_pair, metric, signature
from ganbench.ops.pairwise import slices

BATCH = 500


@metric("nll", direction="min", needs=("model", "reference", "rng"), returns=("nll", "bits_per_dim"))
def nll(model: Any, reference: Tensor, *, rng: torch.Generator) -> list[Score]:
    """Mean negative log likelihood of the test set (M, *E) in nats an event, and in bits a dimension.

    The signature says what the model returns: an exact value, a lower bound on it (`elbo`, `iwae`: then this is an
    upper bound), of a density in the data's units or of a discrete mass. Those are different numbers, not to be ranked
    together. `se` is over test events. Raises `NotApplicable` for a model without a likelihood.
    """
    if "log_prob" not in model.gives:
        raise NotApplicable(f"{model.name} has no likelihood")
    flat = check_events(reference, "reference", at_least=2)
    with torch.no_grad():
        values = -torch.cat([model.log_prob(x, rng).double() for x in reference.split(BATCH)])
    m, d = flat.shape
    bad = ~torch.isfinite(values)
    if bad.any():
        raise BadInput(f"log_prob must be finite; row {int(bad.nonzero()[0])} of {m} of reference has {values[bad][0]}")
    mean, se = float(values.mean()), float(values.std()) / math.sqrt(m)
    parts = (model.log_prob_kind, model.log_prob_of, f"m={m}")
    bits = 1 / (d * math.log(2))
    return [
        Score("nll", mean, m, signature("nll", "nats", *parts), "min", se),
        Score("bits_per_dim", mean * bits, m, signature("nll", "bits/dim", *parts), "min", se * bits),
    ]


@metric("parzen", direction="max", needs=("samples", "reference", "holdout"))
def parzen(samples: Tensor, reference: Tensor, holdout: Tensor, *, bandwidth: float | None = None) -> Score:
    """Mean log density of the test set under Gaussian windows on the samples, in nats.

    The literature's protocol: 10,000 samples, the width chosen among ten from 0.1 to 1 (log spaced) by the mean on at
    most 1,000 holdout events, pixels in [0, 1]; `se` is over test events. Here pixels are in [-1, 1]: widths are twice
    as large and D log 2 is added, so the number is that of [0, 1] for images, and unchanged for vectors, whose widths
    are tried from 1/100 of their spread to all of it. The signature carries n: fewer samples lower the value.
    """
    x = check_events(samples, "samples", at_least=2).double()
    y, held = check_events(reference, "reference", at_least=2), check_events(holdout, "holdout", at_least=2)
    check_pair(samples, reference)
    check_pair(samples, holdout, "samples", "holdout")
    image, d = samples.ndim == 4, x.shape[1]
    if image:
        widths = 2 * torch.logspace(-1, 0, 10, dtype=torch.float64)
    else:
        widths = torch.logspace(-2, 0, 10, dtype=torch.float64) * held.double().std(0).mean().cpu()
    tried = {}
    if bandwidth is None:
        for w in widths.tolist():
            tried[w] = float(log_density(held[:1000].double(), x, w).mean())
        chosen = max(tried, key=lambda w: tried[w])
    else:
        chosen = bandwidth
    values = log_density(y.double(), x, chosen) + (d * math.log(2) if image else 0.0)
    unit = chosen / 2 if image else chosen
    text = signature(
        "parzen", "width-holdout" if bandwidth is None else f"width={bandwidth:g}", f"n={len(x)}", f"m={len(y)}"
    )
    extra = {"bandwidth": unit, "at_edge": bandwidth is None and chosen in (min(tried), max(tried))}
    return Score(
        "parzen", float(values.mean()), len(x), text, "max", float(values.std()) / math.sqrt(len(y)), extra=extra
    )


def log_density(points: Tensor, centres: Tensor, width: float) -> Tensor:
    """log of the mean over centres of N(point; centre, width^2 I) in nats: (M, D), (N, D) -> (M,)."""
    d, n = points.shape[1], len(centres)
    constant = math.log(n) + d * (math.log(width) + 0.5 * math.log(2 * math.pi))
    parts = [
        torch.logsumexp(torch.cdist(points[i], centres).square() / (-2 * width**2), 1)
        for i in slices(len(points), BATCH)
    ]
    return torch.cat(parts) - constant


@metric("reconstruction_error", direction="min", needs=("model", "reference"))
def reconstruction_error(model: Any, reference: Tensor) -> Score:
    """Mean squared error a dimension of reconstructions of test events (M, *E), in the data's units squared.

    Raises `NotApplicable` for a model that does not reconstruct.
    """
    if "reconstruct" not in model.gives:
        raise NotApplicable(f"{model.name} does not reconstruct")
    check_events(reference, "reference", at_least=2)
    with torch.no_grad():
        errors = [(model.reconstruct(x) - x).flatten(1).double().square().mean(1) for x in reference.split(BATCH)]
    values, m = torch.cat(errors), len(reference)
    text = signature("reconstruction_error", "mse", f"m={m}")
    return Score("reconstruction_error", float(values.mean()), m, text, "min", float(values.std()) / math.sqrt(m))
