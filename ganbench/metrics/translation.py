"""Translated events against the truth that belongs to their source: distances by pixel, structure, and class.

Row i of `translated` is made from row i of `cond`, and row i of `reference` is its hidden truth.

Source      Wang et al. 2004 (SSIM, equation 13 with an 11x11 Gaussian window of sigma 1.5).
Shapes      N events, *E event shape, *C condition shape, K classes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.base import Score, check_events, check_pair, check_probs, metric, signature
from ganbench.metrics.conditional import check_labels, share_of

PEAK = 2.0  # pixels are in [-1, 1]


@metric("translation_l1", direction="min", asks=("translate",), degree=1, power=1, bounds=(0, None))
def translation_l1(translated: Tensor, reference: Tensor) -> Score:
    """Mean absolute difference of a number to the truth's: (N, *E), (N, *E); the error is over events."""
    x, y = aligned(translated, reference)
    return _mean("translation_l1", (x.double() - y.double()).abs().mean(1), "min")


@metric("psnr", direction="max", asks=("translate",))
def psnr(translated: Tensor, reference: Tensor) -> Score:
    """Peak signal to noise of the pooled squared error, 10 log10(4 / MSE) dB for pixels in [-1, 1]: (N, *E), (N, *E).

    Pooled, not averaged over pictures: flat ones would weigh most. Raises `BadInput` for sets that are equal.
    """
    x, y = aligned(translated, reference)
    errors = (x.double() - y.double()).square().mean(1)
    mse = float(errors.mean())
    if mse == 0:
        raise BadInput("translated and reference are equal: their PSNR is infinite")
    se = 10 / math.log(10) * float(errors.std()) / math.sqrt(len(x)) / mse if len(x) > 1 else None
    return Score("psnr", 10 * math.log10(PEAK**2 / mse), len(x), signature("psnr", "pooled", f"n={len(x)}"), "max", se)


@metric("ssim", direction="max", asks=("translate",), bounds=(-1, 1))
def ssim(translated: Tensor, reference: Tensor) -> Score:
    """Structural similarity of images in [-1, 1], mean over pixels, channels and images: (N, C, H, W), (N, C, H, W).

    Windows that stick out of the image are left out. Smaller images take the largest odd window that fits.
    Raises `NotApplicable` for events that are no images.
    """
    aligned(translated, reference)
    if translated.ndim != 4:
        raise NotApplicable(f"ssim compares images (N, C, H, W); got events of shape {tuple(translated.shape[1:])}")
    side = min(11, *translated.shape[2:])
    return _mean("ssim", structural_similarity(translated, reference), "max", f"window={side - 1 + side % 2}")


@metric("translation_agreement", direction="max", asks=("translate",), bounds=(0, 1))
def translation_agreement(translated_probs: Tensor, test_labels: Tensor, space: str = "probs") -> Score:
    """Share of translated events that the scorer takes for the class of their truth: (N, K), (N,)."""
    p = check_probs(translated_probs, "translated_probs")
    y = check_labels(test_labels, len(p), p.shape[1], "test_labels")
    text = signature("translation_agreement", f"K={p.shape[1]}", f"n={len(p)}", space)
    return share_of(p.argmax(1) == y, "translation_agreement", text)


@metric("translation_success", direction="max", asks=("translate",), bounds=(0, 1))
def translation_success(
    translated_probs: Tensor, test_labels: Tensor, space: str = "probs", least: float = 0.8
) -> Score:
    """1 where `translation_agreement` is above `least`, else 0: its mean over seeds is how often training succeeds.

    From marginals alone a map is not told from any other that fits them, so the mean agreement of a few seeds hides
    that some have found another map.
    """
    agreement = translation_agreement(translated_probs, test_labels, space)
    text = signature("translation_success", f"least={least:g}", f"n={agreement.n}", space)
    return Score("translation_success", float(agreement.value > least), agreement.n, text, "max")


@metric("cycle_l1", direction="min", asks=("translate_back",), degree=1, power=1, bounds=(0, None))
def cycle_l1(cycled: Tensor, cond: Tensor) -> Score:
    """Mean absolute difference of a source to what its translation is translated back to: (N, *C), (N, *C).

    It says nothing of the translation: a permutation of classes and its inverse have 0. See `translation_agreement`.
    """
    x, y = aligned(cycled, cond, "cycled", "cond")
    return _mean("cycle_l1", (x.double() - y.double()).abs().mean(1), "min")


@metric("consistency", direction="min", asks=("translate",), bounds=(0, None))
def consistency(translated: Tensor, cond: Tensor) -> Score:
    """How far a large image, made small again by box means, is from its source: mean absolute, a pixel.

    (N, C, H, W), (N, C, h, w). Raises `NotApplicable` unless the source is smaller by a whole factor.
    """
    check_events(translated, "translated")
    fits = translated.ndim == cond.ndim == 4 and translated.shape[1] == cond.shape[1]
    factor = translated.shape[-1] // cond.shape[-1] if fits else 0
    if factor < 2 or tuple(translated.shape[2:]) != (factor * cond.shape[2], factor * cond.shape[3]):
        raise NotApplicable("consistency compares images with sources that are smaller by a whole factor")
    off = (F.avg_pool2d(translated.double(), factor) - cond.double()).abs().flatten(1).mean(1)
    return _mean("consistency", off, "min", f"factor={factor}")


def aligned(
    translated: Tensor, reference: Tensor, ours: str = "translated", truth: str = "reference"
) -> tuple[Tensor, Tensor]:
    """Both sets as matrices, row by row. Raises `BadInput` where they are not as many events of one shape."""
    x, y = check_events(translated, ours), check_events(reference, truth)
    check_pair(translated, reference, ours, truth)
    if len(x) != len(y):
        raise BadInput(f"{ours} and {truth} must be as many, row by row; got {len(x)} and {len(y)}")
    return x, y


def gaussian_window(size: int, sigma: float = 1.5) -> Tensor:
    """Weights (size,) that sum to 1."""
    place = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    weights = torch.exp(-place.square() / (2 * sigma**2))
    return weights / weights.sum()


def structural_similarity(x: Tensor, y: Tensor) -> Tensor:
    """SSIM of each pair of images in [-1, 1], mean over pixels and channels: (N, C, H, W), (N, C, H, W) -> (N,)."""
    side = min(11, *x.shape[2:])
    window = gaussian_window(side - 1 + side % 2)
    return torch.cat([_ssim(a, b, window) for a, b in zip(x.split(200), y.split(200), strict=True)])


def _ssim(x: Tensor, y: Tensor, window: Tensor) -> Tensor:  # (N, C, H, W), (N, C, H, W) -> (N,)
    x, y = ((t.double() + 1) / PEAK for t in (x, y))
    kernel = (window[:, None] * window)[None, None].to(x.device)

    def blurred(t: Tensor) -> Tensor:
        out: Tensor = F.conv2d(t.flatten(0, 1)[:, None], kernel)
        return out

    mx, my = blurred(x), blurred(y)
    vx, vy, cov = blurred(x * x) - mx * mx, blurred(y * y) - my * my, blurred(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    value = (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return value.view(len(x), -1).mean(1)


def _mean(name: str, each: Tensor, direction: str, *parts: str) -> Score:
    """The mean over events (N,) with its standard error."""
    n = len(each)
    se = float(each.std()) / math.sqrt(n) if n > 1 else None
    text = signature(name, *parts, f"n={n}")
    return Score(name, float(each.mean()), n, text, direction, se)  # type: ignore[arg-type]
