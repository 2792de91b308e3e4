"""What methods that are given a density hold when they have ended: draws, or a Gaussian, and what they say of it.

Both are modules of buffers of fixed shape, so that a saved model samples what it sampled before.

Shapes      N draws, D dimensions, K draws that are kept.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganbench.data.density import Inferred, Metered
from ganbench.errors import NotApplicable
from ganbench.ops.chains import moments


class _Held(nn.Module):
    mean: Tensor
    cov: Tensor
    log_evidence: Tensor
    ess: Tensor
    known: Tensor  # (2,) whether the method gives these two
    evaluations: Tensor

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        if len(event_shape) != 1:
            raise NotApplicable(f"a density is of vectors (D,); got events of shape {event_shape}")
        (d,) = event_shape
        self.register_buffer("mean", torch.zeros(d, dtype=torch.float64))
        self.register_buffer("cov", torch.eye(d, dtype=torch.float64))
        self.register_buffer("log_evidence", torch.tensor(0.0, dtype=torch.float64))
        self.register_buffer("ess", torch.tensor(0.0, dtype=torch.float64))
        self.register_buffer("known", torch.zeros(2, dtype=torch.bool))
        self.register_buffer("evaluations", torch.tensor(0))

    def say(
        self, mean: Tensor, cov: Tensor, density: Metered, log_evidence: float | None = None, ess: float | None = None
    ) -> None:
        """Note what was found, as far as the method gives it, and what it cost."""
        self.mean.copy_(mean)
        self.cov.copy_(cov)
        self.log_evidence.fill_(log_evidence or 0.0)
        self.ess.fill_(ess or 0.0)
        self.known.copy_(torch.tensor([log_evidence is not None, ess is not None]))
        self.evaluations.fill_(density.evaluations)

    def inferred(self) -> Inferred:
        """What was noted, on the CPU."""
        evidence, ess = (
            float(v) if k else None for v, k in zip((self.log_evidence, self.ess), self.known, strict=True)
        )
        return Inferred(self.mean.cpu(), self.cov.cpu(), int(self.evaluations), evidence, ess)


class Draws(_Held):
    """Draws that stand for the density; of weighted ones, K drawn by their weights."""

    points: Tensor

    def __init__(self, event_shape: tuple[int, ...], keep: int) -> None:
        super().__init__(event_shape)
        self.register_buffer("points", torch.zeros(keep, *event_shape))

    def fill(
        self,
        x: Tensor,
        density: Metered,
        rng: torch.Generator,
        *,
        ess: float,
        log_weights: Tensor | None = None,
        log_evidence: float | None = None,
    ) -> None:
        """Keep K of the draws x (N, D), with the moments of all. Raises `NotApplicable` where there are none.

        Equal draws are kept without repeats for as long as there are any; weighted ones by systematic resampling.
        """
        if not len(x):
            raise NotApplicable("no draw came of this budget; give more iterations")
        self.say(*moments(x, log_weights), density, log_evidence, ess)
        rows = without_repeats(len(self.points), len(x), rng) if log_weights is None else self._by(log_weights, rng)
        self.points.copy_(x[rows])

    def _by(self, log_weights: Tensor, rng: torch.Generator) -> Tensor:
        k = len(self.points)
        places = (torch.arange(k, device=rng.device) + torch.rand(1, generator=rng, device=rng.device)) / k
        share = torch.softmax(log_weights, 0).cumsum(0)
        rows = torch.searchsorted(share, places.to(share)).clamp(max=len(share) - 1)
        return rows[torch.randperm(k, generator=rng, device=rng.device)]

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """n of the draws that are kept, none twice for as long as there are any: -> (n, D)."""
        return self.points[without_repeats(n, len(self.points), rng)]


class GaussianLaw(_Held):
    """The normal law that a method put in the density's place."""

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """n draws: -> (n, D) float32."""
        z = torch.randn(n, len(self.mean), generator=rng, dtype=torch.float64, device=rng.device)
        factor: Tensor = torch.linalg.cholesky(self.cov)
        return (self.mean + z @ factor.T).float()


def without_repeats(n: int, have: int, rng: torch.Generator) -> Tensor:
    """n rows of `have`, in random order, each as often as the others to within one: -> (n,)."""
    orders = [torch.randperm(have, generator=rng, device=rng.device) for _ in range(-(-n // have))]
    return torch.cat(orders)[:n]
