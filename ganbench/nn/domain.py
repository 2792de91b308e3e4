"""Between the data's bounded domain, (-1, 1) for images, and the [0, 1] of sigmoids and Bernoulli likelihoods."""

from __future__ import annotations

from torch import Tensor

from ganbench.data import DataSpec
from ganbench.errors import NotApplicable


def bounds(spec: DataSpec) -> tuple[float, float]:
    """The domain; raises `NotApplicable` with the reason where the data is unbounded."""
    if spec.domain is None:
        raise NotApplicable(
            f"a Bernoulli decoder reads values as probabilities and needs a bounded domain; {spec.name} is unbounded: "
            "use a Gaussian decoder"
        )
    return spec.domain


def to_unit(x: Tensor, spec: DataSpec) -> Tensor:
    """From the domain to [0, 1], rounding beyond it cut off; raises `NotApplicable` where the data is unbounded."""
    low, high = bounds(spec)
    return ((x - low) / (high - low)).clamp(0, 1)


def from_unit(p: Tensor, spec: DataSpec) -> Tensor:
    """From [0, 1] to the domain; raises `NotApplicable` where the data is unbounded."""
    low, high = bounds(spec)
    return low + (high - low) * p
