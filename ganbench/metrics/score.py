"""What every metric returns: one number with its error, its size and the signature it may be compared under."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Direction = Literal["max", "min", "floor", "none"]  # floor: nearest to the real-against-real floor is best


@dataclass(frozen=True)
class Score:
    """One number with what is needed to trust and to compare it."""

    name: str
    value: float
    n: int  # generated samples it was computed from
    signature: str  # e.g. "mmd2|rbf-median|unbiased|n=10000|x|f64|v1"; boards refuse to mix signatures
    direction: Direction
    se: float | None = None  # standard error of `value` over sampling (not over training seeds)
    interval: tuple[float, float] | None = None  # 95 %, where a standard error does not say it
    floor: float | None = None  # the same estimator on real against real, same sizes
    seconds: float | None = None
    peak_bytes: int | None = None  # memory taken while it was computed, beyond what was there before
    extra: dict[str, Any] = field(default_factory=dict)  # JSON-ready details: certificate, bandwidth, per-mode counts
