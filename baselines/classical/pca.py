"""Probabilistic PCA: a linear Gaussian latent model whose maximum likelihood is an eigendecomposition.

Source      Tipping & Bishop 1999, "Probabilistic Principal Component Analysis", equations 3.5 to 3.8: x = W z + mu + e,
            W = U (L - sigma^2 I)^(1/2), sigma^2 the mean of the discarded eigenvalues. Through scikit-learn.
Departures  1. sigma is at least `min_std`: where the discarded directions are constant the likelihood is unbounded.
            2. Codes are the posterior mean of z, reconstructions the orthogonal projection U U^T (x - mu) + mu of PCA.
            3. Samples of images are clipped to the pixel range; `log_prob` is that of the unclipped density.
Shapes      B batch, N examples, Q components, D numbers in an event, *E event shape.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganbench.errors import NotApplicable
from ganbench.model import Budget, Count, DataSpec, Defaults, Model, Positive, Split, register


@register(
    "pca",
    family="classical",
    paper="Tipping & Bishop, JRSS B 1999",
    gives=("sample", "encode", "from_codes", "reconstruct", "log_prob"),
)
class PCA(Model):
    class Config(Model.Config):
        n_components: Count = 1
        min_std: Positive = 1e-3  # of the noise, in data units

    config: Config
    defaults = Defaults(image={"n_components": 20, "min_std": 0.01})
    mean: Tensor  # (D,)
    directions: Tensor  # (D, Q) orthonormal principal directions
    variances: Tensor  # (Q,) of the data along them
    noise: Tensor  # () variance of each discarded direction

    def build(self, spec: DataSpec) -> None:
        self.spec, d, q = spec, spec.n_dims, self.config.n_components
        if q > d:
            raise NotApplicable(f"n_components must be at most the {d} dimensions of {spec.name}; got {q}")
        self.register_buffer("mean", torch.zeros(d, dtype=torch.float64))
        self.register_buffer("directions", torch.eye(d, q, dtype=torch.float64))
        self.register_buffer("variances", torch.ones(q, dtype=torch.float64))
        self.register_buffer("noise", torch.ones((), dtype=torch.float64))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        """Closed form, whatever the budget. Raises `NotApplicable` for more components than examples less one."""
        from sklearn.decomposition import PCA as Eigen

        n, d, q = len(data), self.spec.n_dims, self.config.n_components
        if q > n - 1:
            raise NotApplicable(f"{q} components need at least {q + 1} examples; got {n}")
        x = data.events().flatten(1).double().cpu().numpy()
        seed = int(torch.randint(2**31, (), generator=rng, device=rng.device))
        found = Eigen(q, svd_solver="covariance_eigh" if d <= 1024 else "randomized", random_state=seed).fit(x)
        scale = (n - 1) / n  # scikit-learn divides by n - 1, the likelihood by n
        floor = self.config.min_std**2
        self.mean.copy_(torch.from_numpy(found.mean_))
        self.directions.copy_(torch.from_numpy(found.components_.T.copy()))
        self.noise.fill_(max(float(found.noise_variance_) * scale, floor))
        self.variances.copy_(torch.from_numpy(found.explained_variance_ * scale).clamp(min=float(self.noise)))

    def loadings(self) -> Tensor:
        """W: (D, Q)."""
        return self.directions * (self.variances - self.noise).sqrt()

    def place(self, flat: Tensor) -> Tensor:
        """Rows as float32 events: (B, D) -> (B, *E)."""
        return flat.float().view(len(flat), *self.spec.event_shape)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        z = torch.randn(n, self.config.n_components, generator=rng, device=rng.device).double()
        noise = torch.randn(n, self.spec.n_dims, generator=rng, device=rng.device)
        x = self.place(self.mean + z @ self.loadings().T + self.noise.sqrt() * noise)
        return x if self.spec.domain is None else x.clamp(*self.spec.domain)

    def encode(self, x: Tensor) -> Tensor:
        """E[z | x], equation 3.9's M^-1 W^T (x - mu): (B, *E) -> (B, Q)."""
        scores = (x.flatten(1).double() - self.mean) @ self.directions
        return (scores * (self.variances - self.noise).sqrt() / self.variances).float()

    def from_codes(self, z: Tensor) -> Tensor:
        """W (W^T W)^-1 M z + mu, which undoes the posterior mean's shrinking: (B, Q) -> (B, *E)."""
        spread = (self.variances - self.noise).sqrt()
        scores = torch.where(spread > 0, z.double() * self.variances / spread, torch.zeros_like(z, dtype=torch.float64))
        return self.place(self.mean + scores @ self.directions.T)

    def reconstruct(self, x: Tensor) -> Tensor:
        scores = (x.flatten(1).double() - self.mean) @ self.directions
        return self.place(self.mean + scores @ self.directions.T)

    def log_prob(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """log N(x; mu, W W^T + sigma^2 I) without forming the covariance."""
        d, q = self.directions.shape
        centred = x.flatten(1).double() - self.mean
        inside = (centred @ self.directions).square()  # (B, Q)
        outside = (centred.square().sum(1) - inside.sum(1)).clamp(min=0)
        log_det = self.variances.log().sum() + (d - q) * self.noise.log()
        return -0.5 * ((inside / self.variances).sum(1) + outside / self.noise + log_det + d * math.log(2 * math.pi))
