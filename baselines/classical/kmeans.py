"""k-means: K centres that each example is nearest to one of; a clustering, and a generator by its isotropic Gaussians.

Source      Lloyd 1982, with the starts of Arthur & Vassilvitskii 2007 (k-means++). Through scikit-learn.
Departures  1. K is a setting; its defaults, 25 and on images 10, are the modes of grid25 and the digits. Samples come
               from equal isotropic Gaussians, whose limit k-means is, with the shares and the variance found.
            2. EM-like sweeps run to convergence, whatever the budget, on at most `max_examples` examples.
            3. Samples of images are clipped to the pixel range.
Shapes      B batch, N examples, K clusters, D numbers in an event, *E event shape.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ganbench.errors import NotApplicable
from ganbench.model import Budget, Count, DataSpec, Defaults, Model, Split, register


@register(
    "kmeans",
    family="classical",
    paper="Lloyd, IEEE Trans. Inf. Theory 1982",
    gives=("sample", "cluster", "encode", "reconstruct"),
)
class KMeans(Model):
    class Config(Model.Config):
        n_clusters: Count = 25
        restarts: Count = 10
        max_examples: Count = 20_000

    config: Config
    defaults = Defaults(image={"n_clusters": 10, "restarts": 4})
    centres: Tensor  # (K, D)
    shares: Tensor  # (K,)
    variance: Tensor  # () within clusters, per dimension

    def build(self, spec: DataSpec) -> None:
        self.spec, k = spec, self.config.n_clusters
        self.register_buffer("centres", torch.zeros(k, spec.n_dims))
        self.register_buffer("shares", torch.full((k,), 1 / k))
        self.register_buffer("variance", torch.ones(()))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        """Raises `NotApplicable` for more clusters than examples."""
        from sklearn.cluster import KMeans as Lloyd

        c = self.config
        if c.n_clusters > (most := min(len(data), c.max_examples)):
            raise NotApplicable(f"n_clusters must be at most the {most} examples used; got {c.n_clusters}")
        index = torch.randperm(len(data), generator=rng, device=rng.device)[: c.max_examples]
        x = data.events(index).flatten(1).cpu().numpy()
        seed = int(torch.randint(2**31, (), generator=rng, device=rng.device))
        found = Lloyd(c.n_clusters, n_init=c.restarts, random_state=seed).fit(x)
        self.centres.copy_(torch.from_numpy(found.cluster_centers_))
        self.shares.copy_(torch.from_numpy(np.bincount(found.labels_, minlength=c.n_clusters) / len(x)))
        self.variance.fill_(found.inertia_ / x.size)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        k = torch.multinomial(self.shares, n, replacement=True, generator=rng) if n else torch.arange(0)
        noise = torch.randn(n, self.spec.n_dims, generator=rng, device=rng.device)
        x = (self.centres[k] + self.variance.sqrt() * noise).view(n, *self.spec.event_shape)
        return x if self.spec.domain is None else x.clamp(*self.spec.domain)

    def encode(self, x: Tensor) -> Tensor:
        """Distances to all centres, negated, so that the largest names the cluster: (B, *E) -> (B, K)."""
        return -torch.cdist(x.flatten(1), self.centres)

    def cluster(self, x: Tensor) -> Tensor:
        return self.encode(x).argmax(1)

    def reconstruct(self, x: Tensor) -> Tensor:
        """The centre of each event's cluster."""
        return self.centres[self.cluster(x)].view(len(x), *self.spec.event_shape)
