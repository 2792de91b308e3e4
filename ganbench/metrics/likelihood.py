"""Likelihoods and reconstructions: a model's own log density, the Parzen-window estimate from samples, squared error.

Parzen windows as in Goodfellow et al. 2014 (arXiv:1406.2661, section 5); Theis et al. 2016 (arXiv:1511.01844) show how
little they say of the likelihood in high dimension: read them only beside the same estimate of real data.

Shapes      N samples, M test events, H held-out events, D dimensions.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.base import Score, check_events, check_pair, metric, signature

BATCH = 256
WIDTHS = tuple(10 ** (-2 + 0.1 * k) for k in range(21))  # bandwidths in units of the data's root mean square: .01 to 1


@metric("nll", direction="min", needs=("model", "reference", "rng"))
def nll(model: Any, reference: Tensor, *, rng: torch.Generator) -> Score:
    """Mean negative log likelihood of the test events in nats per event, with its standard error over events.

    `model.log_prob` is exact, or a bound from below ("elbo", "iwae"): the kind is in the signature, so that boards
    never rank a bound against a density. `extra` has bits per dimension, in the units of the data as the model sees
    them. Raises `NotApplicable` for a model without a likelihood, `BadInput` for one that gives NaN or infinity.
    """
    if "log_prob" not in model.gives:
        raise NotApplicable(f"{model.name} has no likelihood")
    x = _reference(reference)
    with torch.no_grad():
        values = torch.cat([model.log_prob(part, rng).double().flatten().cpu() for part in reference.split(BATCH)])
    if values.shape != (len(x),):
        raise BadInput(f"log_prob must give one number an event; got {tuple(values.shape)} for {len(x)} events")
    if not bool(torch.isfinite(values).all()):
        row = int((~torch.isfinite(values)).nonzero()[0])
        raise BadInput(f"log_prob must be finite; test event {row} of {len(x)} has {float(values[row])}")
    mean, d = float(-values.mean()), x.shape[1]
    kind = model.log_prob_kind
    extra = {"kind": kind, "bits_per_dim": mean / (d * math.log(2)), "n_dims": d}
    return Score("nll", mean, len(x), signature("nll", kind, "nats", f"m={len(x)}"), "min", _error(values), extra=extra)


@metric("parzen", direction="max", needs=("samples", "holdout", "reference", "rng"))
def parzen(
    samples: Tensor, holdout: Tensor, reference: Tensor, *, rng: torch.Generator, n: int = 10_000, most: int = 1000
) -> Score:
    """Mean log density in nats of test events under a Gaussian kernel estimate from `n` samples; `se` over test events.

    log p(x) = log (1/N) sum_i N(x; s_i, w^2 I), in float64. The bandwidth w maximises the same mean over held-out
    events, never over test events, on a grid of 21 fractions of the held-out data's root mean square about its mean;
    `extra` says when it sits at an end of the grid. At most `most` held-out and test events are used, drawn by `rng`.
    Raises `BadInput` for shapes that differ, non-finite rows, or held-out events that are all the same.
    """
    s = _some(check_events(samples, "samples"), n, rng).double()
    h = _some(check_events(holdout, "holdout", at_least=2), most, rng).double()
    x = _some(check_events(reference, "reference", at_least=2), most, rng).double()
    check_pair(samples, holdout, "samples", "holdout")
    check_pair(samples, reference)
    unit = float((h - h.mean(0)).square().mean().sqrt())
    if unit == 0:
        raise BadInput("holdout must not hold copies of one event: no bandwidth can be chosen")
    widths = unit * torch.tensor(WIDTHS, dtype=torch.float64)
    best = int(_log_density(h, s, widths).mean(0).argmax())
    width = widths[best : best + 1]
    values = _log_density(x, s, width)[:, 0]
    extra = {"bandwidth": float(width), "bandwidth_at_end": best in (0, len(WIDTHS) - 1), "m": len(x), "h": len(h)}
    text = signature("parzen", "gaussian", f"n={len(s)}", f"m={len(x)}", "x", "f64")
    return Score("parzen", float(values.mean()), len(s), text, "max", _error(values), extra=extra)


@metric("reconstruction_error", direction="min", needs=("model", "reference"))
def reconstruction_error(model: Any, reference: Tensor) -> Score:
    """Mean squared error per dimension between test events and the model's reconstructions; `se` over events.

    Raises `NotApplicable` for a model that does not reconstruct.
    """
    if "reconstruct" not in model.gives:
        raise NotApplicable(f"{model.name} does not reconstruct")
    x = _reference(reference)
    with torch.no_grad():
        back = torch.cat([model.reconstruct(part).flatten(1) for part in reference.split(BATCH)])
    error = (check_events(back, "the reconstructions").double() - x.double()).square().mean(1)
    text = signature("reconstruction", "mse", f"m={len(x)}", "x")
    return Score("reconstruction_error", float(error.mean()), len(x), text, "min", _error(error))


def _reference(reference: Tensor) -> Tensor:
    return check_events(reference, "reference", at_least=2)


def _error(values: Tensor) -> float:
    return float(values.std()) / math.sqrt(len(values))


def _some(x: Tensor, n: int, rng: torch.Generator) -> Tensor:
    if n >= len(x):
        return x
    return x[torch.randperm(len(x), generator=rng, device=rng.device)[:n].to(x.device)]


def _log_density(x: Tensor, s: Tensor, widths: Tensor) -> Tensor:
    """Kernel log density of each row of x under each bandwidth: (M, D), (N, D), (W,) -> (M, W)."""
    centre = s.mean(0)
    s, x, d = s - centre, x - centre, s.shape[1]
    norm = s.square().sum(1)
    out = []
    for part in x.split(BATCH):
        square = (part.square().sum(1)[:, None] + norm - 2 * part @ s.T).clamp_min_(0)  # (B, N)
        out.append(torch.stack([torch.logsumexp(square / (-2 * w * w), 1) for w in widths.tolist()], 1))
    scale = widths.to(x.device).log() + 0.5 * math.log(2 * math.pi)
    return torch.cat(out) - math.log(len(s)) - d * scale
