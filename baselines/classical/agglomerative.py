"""Agglomerative clustering: the two clusters whose union raises the squared error least are merged, again and again.

Source      Ward 1963, "Hierarchical Grouping to Optimize an Objective Function". Through scikit-learn.
Departures  1. The tree is cut at K clusters, by default 25 and on images 10 (grid25's modes, the digits), on at most
               `max_examples` examples: the merges look at all pairs.
            2. The tree covers training examples alone; another event joins the cluster of the nearest mean, which is
               the cluster whose squared error it raises least when clusters are large.
            3. It does not sample: a hierarchy is no density.
Shapes      B batch, N examples, K clusters, D numbers in an event, *E event shape.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ganbench.errors import NotApplicable
from ganbench.model import Budget, Count, DataSpec, Defaults, Model, Split, register


@register("agglomerative", family="classical", paper="Ward, JASA 1963", gives=("cluster", "encode"))
class Agglomerative(Model):
    class Config(Model.Config):
        n_clusters: Count = 25
        linkage: Literal["ward", "complete", "average", "single"] = "ward"
        max_examples: Count = 4000

    config: Config
    defaults = Defaults(image={"n_clusters": 10})
    centres: Tensor  # (K, D)

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.register_buffer("centres", torch.zeros(self.config.n_clusters, spec.n_dims))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        """Raises `NotApplicable` for more clusters than examples."""
        from sklearn.cluster import AgglomerativeClustering

        c = self.config
        if c.n_clusters > (most := min(len(data), c.max_examples)):
            raise NotApplicable(f"n_clusters must be at most the {most} examples used; got {c.n_clusters}")
        index = torch.randperm(len(data), generator=rng, device=rng.device)[: c.max_examples]
        x = data.events(index).flatten(1)
        found = AgglomerativeClustering(c.n_clusters, linkage=c.linkage).fit_predict(x.cpu().numpy())
        member = torch.nn.functional.one_hot(torch.from_numpy(found).to(x.device), c.n_clusters).to(x.dtype)  # (N, K)
        self.centres.copy_(member.T @ x / member.sum(0)[:, None])

    def encode(self, x: Tensor) -> Tensor:
        """Distances to all cluster means, negated, so that the largest names the cluster: (B, *E) -> (B, K)."""
        return -torch.cdist(x.flatten(1), self.centres)

    def cluster(self, x: Tensor) -> Tensor:
        return self.encode(x).argmax(1)
