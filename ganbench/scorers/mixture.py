"""The exact posterior over the modes of a Gaussian mixture, for data whose law is known; features are the events."""

from __future__ import annotations

import hashlib

from torch import Tensor

from ganbench.data import Mixture
from ganbench.errors import BadInput
from ganbench.scorers.base import scorer


@scorer("mixture_posterior", needs_mixture=True)
class MixturePosterior:
    """Bayes' rule with the true means, std and equal weights: no classifier to be fooled."""

    domain: tuple[float, float] | None = None

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture
        digest = hashlib.sha256(mixture.means.double().numpy().tobytes() + repr(mixture.std).encode()).hexdigest()
        self.signature = f"mixture-posterior@{digest[:8]}"
        self.n_classes = len(mixture.means)

    def probs(self, x: Tensor) -> Tensor:
        """Probability of each mode: (N, D) -> (N, K) float64. Raises `BadInput` for events of another dimension."""
        d = self.mixture.means.shape[1]
        if x.ndim != 2 or x.shape[1] != d:
            raise BadInput(f"events must have shape (N, {d}) for this mixture; got {tuple(x.shape)}")
        return self.mixture.posterior(x)

    def features(self, x: Tensor) -> Tensor:
        """The events themselves: (N, D) -> (N, D) float32."""
        return x.float()
