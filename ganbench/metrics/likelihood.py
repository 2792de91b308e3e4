"""What likelihood says of a model: its own log probability of the test set, bounds on it, Parzen windows.

Source      Kingma & Welling 2014 (the ELBO); Burda et al. 2016 (the importance-weighted bound); Goodfellow et al. 2014,
            section 5, after Breuleux et al. 2011 (Parzen windows); Theis et al. 2016, arXiv:1511.01844, on why these do
            not rank samples.
Shapes      N samples, M test events, D numbers in an event.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.base import Score, check_events, check_sets, metric, signature

BATCH = 500
BOUND_EVENTS = 1000  # test events an importance-weighted bound looks at, at most: hundreds of decodings for each
FGAN_SAMPLES = 16_384
MOST_LEVELS = 256  # grey levels of images, as files hold them


@metric("nll", direction="min", returns=("nll", "bits_per_dim"), asks=("log_prob",), version=2)
def nll(model: Any, reference: Tensor, *, rng: torch.Generator) -> list[Score]:
    """Mean negative log likelihood of the test set (M, *E) in nats an event, and in bits a dimension.

    The signature says what the model returns: an exact value, a lower bound on it (`elbo`, `iwae`: then this is an
    upper bound), of a density in the data's units or of a discrete mass. Those are different numbers, not to be ranked
    together. `se` is over test events. Raises `NotApplicable` for a model without a likelihood.

    Densities of images are those of grey levels spread out by uniform noise of one level (Theis et al. 2016, section
    3.1): a density of the levels themselves has no bound. Bits a dimension are then the literature's, of a density in
    units of one level, an upper bound of what coding the levels takes: uniform levels have 8. Nats stay those of a
    density in the data's units.
    """
    if "log_prob" not in model.gives:
        raise NotApplicable(f"{model.name} has no likelihood")
    flat = check_events(reference, "reference", at_least=2)
    m, d = flat.shape
    levels = GreyLevels.of(model, reference)
    mean, se = _mean_of(model.log_prob, levels, reference, rng, "log_prob")
    parts = (model.log_prob_kind, measure(model, levels), f"m={m}")
    bits = 1 / (d * math.log(2))
    per_dim = -mean * bits - (math.log2(levels.width) if levels else 0.0)
    return [
        Score("nll", -mean, m, signature("nll", "nats", *parts, version=2), "min", se),
        Score("bits_per_dim", per_dim, m, signature("nll", "bits/dim", *parts, version=2), "min", se * bits),
    ]


@dataclass(frozen=True)
class GreyLevels:
    """The evenly spaced values that pixels take, spread out to a density by uniform noise."""

    count: int
    width: float  # between two, in data units

    @classmethod
    def of(cls, model: Any, reference: Tensor) -> GreyLevels | None:
        """Those of the images (M, C, H, W) that a density is of, 256 where they lie on no coarser grid; else None."""
        spec = getattr(model, "spec", None)
        if model.log_prob_of != "density" or spec is None or not spec.is_image or spec.domain is None:
            return None
        low, high = spec.domain
        places = ((reference[:BOUND_EVENTS].double() - low) / (high - low) * 1e6).round().unique() / 1e6  # in [0, 1]
        gap = float(places.diff().min()) if len(places) > 1 else 1.0
        count = min(round(1 / gap) + 1, MOST_LEVELS)
        off = (places * (count - 1) - (places * (count - 1)).round()).abs().max()
        count = count if float(off) < 1e-3 else MOST_LEVELS
        return cls(count, (high - low) / (count - 1))

    def spread_out(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Values plus noise of one level around them."""
        return x + self.width * (torch.rand(x.shape, generator=rng, device=rng.device).to(x) - 0.5)


def measure(model: Any, levels: GreyLevels | None) -> str:
    """What the log probability is of, as signatures write it."""
    return f"density of {levels.count} levels" if levels else str(model.log_prob_of)


@metric("elbo", direction="max", asks=("log_prob",), version=2)
def elbo(model: Any, reference: Tensor, *, rng: torch.Generator) -> Score:
    """Mean evidence lower bound on the log likelihood of the test set (M, *E), in nats an event.

    `se` is over test events. Raises `NotApplicable` for a model without one: `nll` has the exact value then.
    """
    bound = getattr(model, "elbo", model.log_prob if model.log_prob_kind == "elbo" else None)
    if "log_prob" not in model.gives or bound is None:
        raise NotApplicable(f"{model.name} has no evidence lower bound; nll has its exact likelihood, if any")
    check_events(reference, "reference", at_least=2)
    levels = GreyLevels.of(model, reference)
    mean, se = _mean_of(bound, levels, reference, rng, "elbo")
    text = signature("elbo", "nats", measure(model, levels), f"m={len(reference)}", version=2)
    return Score("elbo", mean, len(reference), text, "max", se)


@metric("iwae", direction="max", asks=("log_prob",), version=2)
def iwae(model: Any, reference: Tensor, *, rng: torch.Generator) -> Score:
    """Mean importance-weighted bound on the log likelihood of test events (M, *E), in nats: `elbo` <= it <= the truth.

    From the model's `n_particles` codes an event, 500 as in the literature, on the first 1,000 test events. `se` is
    over them. Raises `NotApplicable` for a model without one.
    """
    bound = getattr(model, "iwae", None)
    if bound is None:
        raise NotApplicable(f"{model.name} has no importance-weighted bound")
    check_events(reference, "reference", at_least=2)
    reference = reference[:BOUND_EVENTS]
    levels = GreyLevels.of(model, reference)
    mean, se = _mean_of(bound, levels, reference, rng, "iwae")
    parts = (f"k={model.config.n_particles}", measure(model, levels), f"m={len(reference)}")
    text = signature("iwae", "nats", *parts, version=2)
    return Score("iwae", mean, len(reference), text, "max", se)


@metric("perplexity", direction="min", asks=("log_prob",), bounds=(1, None))
def perplexity(model: Any, reference: Tensor, *, rng: torch.Generator) -> Score:
    """exp(- log probability a word) of held-out documents (M, V) of word counts: the words one hesitates between.

    Where the model returns a bound this is an upper bound. `se` is that of the ratio of two sums over documents. Raises
    `NotApplicable` for a model whose events are not documents.

    Source: Blei, Ng & Jordan 2003, section 7.1.
    """
    if "log_prob" not in model.gives or model.log_prob_of != "mass of words in order":
        raise NotApplicable(f"{model.name} gives no probability of documents")
    counts = check_events(reference, "reference", at_least=2).double().sum(1)
    if not counts.sum() > 0:
        raise BadInput("reference must hold words; all its documents are empty")
    with torch.no_grad():
        values = torch.cat([model.log_prob(x, rng).double() for x in reference.split(BATCH)])
    rate = -values.sum() / counts.sum()  # nats a word
    residual = (-values - rate * counts).std() * math.sqrt(len(counts)) / counts.sum()
    value = float(rate.exp())
    text = signature("perplexity", model.log_prob_kind, f"m={len(counts)}")
    return Score("perplexity", value, len(counts), text, "min", value * float(residual))


def _mean_of(
    log_prob: Callable[[Tensor, torch.Generator], Tensor],
    levels: GreyLevels | None,
    reference: Tensor,
    rng: torch.Generator,
    what: str,
) -> tuple[float, float]:
    """Mean and standard error of log probabilities over test events. Raises `BadInput` where one is not finite."""
    with torch.no_grad():
        parts = (levels.spread_out(x, rng) if levels else x for x in reference.split(BATCH))
        values = torch.cat([log_prob(x, rng).double() for x in parts])
    bad = ~torch.isfinite(values)
    if bad.any():
        first = int(bad.nonzero()[0])
        raise BadInput(f"{what} must be finite; test event {first} of {len(values)} has {values[bad][0]}")
    return float(values.mean()), float(values.std()) / math.sqrt(len(values))


@metric("parzen", direction="max")
def parzen(samples: Tensor, reference: Tensor, holdout: Tensor, *, bandwidth: float | None = None) -> Score:
    """Mean log density of the test set under Gaussian windows on the samples, in nats.

    The literature's protocol: 10,000 samples, the width chosen among ten from 0.1 to 1 (log spaced) by the mean on at
    most 1,000 holdout events, pixels in [0, 1]; `se` is over test events. Here pixels are in [-1, 1]: widths are twice
    as large and D log 2 is added, so the number is that of [0, 1] for images, and unchanged for vectors, whose widths
    are tried from 1/100 of their spread to all of it. The signature carries n: fewer samples lower the value.
    """
    x, y, held = check_sets(samples=samples, reference=reference, holdout=holdout, at_least=2)
    x = x.double()
    image, d = samples.ndim == 4, x.shape[1]
    if bandwidth is not None and not 0 < bandwidth < math.inf:
        raise BadInput(f"bandwidth must be positive and finite; got {bandwidth}")
    spread = float(held.double().std(0).mean())
    if spread == 0:
        raise BadInput("holdout must not hold copies of one event: no width can be chosen")
    grid = 2 * torch.logspace(-1, 0, 10, dtype=torch.float64)
    if not image:
        grid = spread * torch.logspace(-2, 0, 10, dtype=torch.float64)
    if bandwidth is not None:
        grid = torch.tensor([bandwidth * (2 if image else 1)], dtype=torch.float64)
    best = int(log_density(held[:1000].double(), x, grid).mean(0).argmax())
    values = log_density(y.double(), x, grid[best : best + 1])[:, 0] + (d * math.log(2) if image else 0.0)
    rule = "width-holdout" if bandwidth is None else f"width={bandwidth:g}"
    text = signature("parzen", rule, f"n={len(x)}", f"m={len(y)}")
    extra = {
        "bandwidth": float(grid[best]) / (2 if image else 1),
        "bandwidth_at_end": bandwidth is None and best in (0, len(grid) - 1),
    }
    se = float(values.std()) / math.sqrt(len(y))
    return Score("parzen", float(values.mean()), len(x), text, "max", se, extra=extra)


@metric("parzen_fgan", direction="max", asks=("sample",))
def parzen_fgan(model: Any, reference: Tensor, holdout: Tensor, *, rng: torch.Generator) -> Score:
    """`parzen` as the f-GAN paper has it: from 16,384 samples, drawn here; never to be set beside `parzen`'s numbers.

    The paper does not print how it chose the width; here it is chosen as `parzen` does. Raises `NotApplicable` for a
    model that does not sample without labels.

    Source: Nowozin, Cseke & Tomioka 2016, section 4.2.
    """
    if "sample" not in model.gives or len(inspect.signature(model.sample).parameters) > 2:
        raise NotApplicable(f"{model.name} draws no samples without labels")
    with torch.no_grad():
        samples = torch.cat([model.sample(BATCH, rng) for _ in range(-(-FGAN_SAMPLES // BATCH))])[:FGAN_SAMPLES]
    score = parzen(samples.float(), reference, holdout)
    return replace(score, name="parzen_fgan", signature=score.signature.replace("parzen", "parzen_fgan", 1))


def log_density(points: Tensor, centres: Tensor, widths: Tensor) -> Tensor:
    """log of the mean over centres of N(point; centre, w^2 I) in nats, for each width: (M, D), (N, D), (W,) -> (M, W).

    Distances come from one GEMM on centred data, shared by all widths.
    """
    centre, d = centres.mean(0), points.shape[1]
    points, centres = points - centre, centres - centre
    norm = centres.square().sum(1)
    rows = []
    for part in points.split(BATCH):
        square = (part.square().sum(1)[:, None] + norm - 2 * part @ centres.T).clamp_min_(0)  # (B, N)
        rows.append(torch.stack([torch.logsumexp(square / (-2 * w * w), 1) for w in widths.tolist()], 1))
    constant = math.log(len(centres)) + d * (widths.to(points.device).log() + 0.5 * math.log(2 * math.pi))
    return torch.cat(rows) - constant


@metric("reconstruction_error", direction="min", asks=("reconstruct",), bounds=(0, None))
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
