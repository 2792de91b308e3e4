"""Cells of a k-means partition, for metrics that compare sets cell by cell.

Shapes      N rows, F features, K cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor

from ganbench.ops.neighbors import nearest
from ganbench.ops.pairwise import slices

MOST = 20_000  # rows that centres are fitted to


@dataclass(frozen=True)
class Clusters:
    """Centres; a row belongs to the nearest one."""

    centers: Tensor  # (K, F) float64

    @classmethod
    def of(cls, x: Tensor, k: int, rng: torch.Generator) -> Clusters:
        """Mini-batch k-means (Sculley 2010) on at most 20,000 rows of x (N, F), drawn and seeded by `rng`."""
        seed = int(torch.randint(2**31 - 1, (1,), generator=rng, device=rng.device))
        rows = x[torch.randperm(len(x), generator=rng, device=rng.device)[:MOST].to(x.device)].double().cpu().numpy()
        scale = float(np.abs(rows).max()) or 1.0  # squares of any unit stay in range
        fitted = MiniBatchKMeans(min(k, len(rows)), batch_size=1024, n_init=3, random_state=seed).fit(rows / scale)
        return cls(torch.from_numpy(fitted.cluster_centers_ * scale).to(x.device))

    def nearest(self, x: Tensor) -> Tensor:
        """The cell of each row: (N, F) -> (N,)."""
        return torch.cat([nearest(x[i].double(), self.centers).index[:, 0] for i in slices(len(x), 4096)])
