"""Gaussian mixture by expectation maximisation: an explicit density with a latent component, without gradients.

Source      Dempster, Laird & Rubin 1977, EM; started from the best of several k-means runs. Through scikit-learn.
Departures  1. The number of components is a setting; its default, 25, is that of the modes of grid25.
            2. Covariances are full up to 64 dimensions and diagonal above, with min_std^2 added to their diagonals.
            3. At most `max_examples` examples are used, for time; EM runs to convergence whatever the budget.
            4. Samples of images are clipped to the pixel range; `log_prob` is that of the unclipped mixture.
Shapes      B batch, N examples, K components, D numbers in an event, *E event shape.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal

from ganbench.errors import NotApplicable
from ganbench.model import Budget, Count, DataSpec, Defaults, Model, Positive, Split, register


@register("gmm", family="classical", gives=("sample", "log_prob", "cluster"))
class GMM(Model):
    class Config(Model.Config):
        n_components: Count = 25
        covariance: Literal["auto", "full", "diagonal"] = "auto"
        min_std: Positive = 1e-3  # in data units
        restarts: Count = 20  # runs of k-means, of which the best starts EM
        max_iterations: Count = 200  # of EM
        max_examples: Count = 10_000

    config: Config
    defaults = Defaults(image={"min_std": 0.1, "restarts": 3})
    weights: Tensor  # (K,)
    means: Tensor  # (K, D)
    scales: Tensor  # (K, D, D) lower Cholesky factors, or (K, D) standard deviations when diagonal

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        k, d = c.n_components, spec.n_dims
        self.full = c.covariance == "full" or (c.covariance == "auto" and d <= 64)
        self.register_buffer("weights", torch.full((k,), 1 / k, dtype=torch.float64))
        self.register_buffer("means", torch.zeros(k, d, dtype=torch.float64))
        scale = torch.eye(d, dtype=torch.float64) if self.full else torch.ones(d, dtype=torch.float64)
        self.register_buffer("scales", scale.expand(k, *scale.shape).clone())

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        """EM to convergence, whatever the budget. Raises `NotApplicable` for more components than examples."""
        from sklearn.cluster import KMeans
        from sklearn.mixture import GaussianMixture

        c, d = self.config, self.spec.n_dims
        if c.n_components > (most := min(len(data), c.max_examples)):
            raise NotApplicable(f"n_components must be at most the {most} examples used; got {c.n_components}")
        index = torch.randperm(len(data), generator=rng, device=rng.device)[: c.max_examples]
        x = data.events(index).flatten(1).double().cpu().numpy()
        seed = int(torch.randint(2**31, (), generator=rng, device=rng.device))
        start = KMeans(c.n_components, n_init=c.restarts, random_state=seed).fit(x)
        precision = 1 / (start.inertia_ / (len(x) * d) + c.min_std**2)  # of one isotropic cluster
        em = GaussianMixture(
            c.n_components,
            covariance_type="full" if self.full else "diag",
            reg_covar=c.min_std**2,
            max_iter=c.max_iterations,
            weights_init=np.bincount(start.labels_, minlength=c.n_components) / len(x),
            means_init=start.cluster_centers_,
            precisions_init=precision * np.broadcast_to(np.eye(d) if self.full else np.ones(d), self.scales.shape),
            random_state=seed,
        ).fit(x)
        covariances = torch.from_numpy(em.covariances_)
        self.weights.copy_(torch.from_numpy(em.weights_))
        self.means.copy_(torch.from_numpy(em.means_))
        self.scales.copy_(torch.linalg.cholesky(covariances) if self.full else covariances.sqrt())

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """log p(x, component): (B, *E) -> (B, K)."""
        x = x.flatten(1).double()[:, None]  # (B, 1, D)
        parts = (
            MultivariateNormal(self.means, scale_tril=self.scales)
            if self.full
            else Independent(Normal(self.means, self.scales), 1)
        )
        return self.weights.log() + parts.log_prob(x)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        k = torch.multinomial(self.weights.float(), n, replacement=True, generator=rng) if n else torch.arange(0)
        noise = torch.randn(n, self.spec.n_dims, generator=rng, device=rng.device).double()
        x = torch.empty_like(noise)
        for j in range(self.config.n_components):  # by component, so that no (n, D, D) is made
            rows = (k == j).nonzero()[:, 0]
            x[rows] = self.means[j] + (noise[rows] @ self.scales[j].T if self.full else noise[rows] * self.scales[j])
        x = x.float().view(n, *self.spec.event_shape)
        return x if self.spec.domain is None else x.clamp(*self.spec.domain)

    def log_prob(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return torch.logsumexp(self.joint_log_prob(x), 1)

    def cluster(self, x: Tensor) -> Tensor:
        """The most probable component."""
        return self.joint_log_prob(x).argmax(1)
