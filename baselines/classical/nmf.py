"""Non-negative matrix factorisation: events as sums, never differences, of non-negative parts.

Source      Lee & Seung 1999 (Nature) and 2001 (NIPS), theorem 1: multiplicative updates that never raise |X - W H|^2.
            Through scikit-learn; with `missing` = "zero" X is known where it is positive, as ratings are, and the same
            updates run over those entries alone.
Departures  1. Images are mapped from their domain to [0, 1] and back; vectors must be non-negative as they are.
            2. Codes of new events come from the same updates with the parts held.
            3. It does not sample: the factors have no law.
Shapes      B batch, N examples, K parts, D numbers in an event, *E event shape; U users, I items.
"""

from __future__ import annotations

import warnings
from typing import Literal

import torch
from torch import Tensor

from ganbench.errors import BadInput, NotApplicable
from ganbench.model import Budget, Count, DataSpec, Defaults, Model, Split, register

TINY = 1e-12  # keeps 0 / 0 at 0 in the updates


@register("nmf", family="classical", paper="Lee & Seung, Nature 1999", gives=("encode", "from_codes", "reconstruct"))
class NMF(Model):
    class Config(Model.Config):
        n_components: Count = 2
        max_iterations: Count = 200  # of the fit, and of coding new events
        max_examples: Count = 10_000
        missing: Literal["none", "zero"] = "none"  # zero: zeros are unknown entries, to be predicted

    config: Config
    defaults = Defaults(image={"n_components": 20})
    parts: Tensor  # H: (K, D)

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.register_buffer("parts", torch.full((self.config.n_components, spec.n_dims), 0.5))

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        """Raises `NotApplicable` for negative data, or for more parts than examples or dimensions."""
        from sklearn.decomposition import NMF as Factoriser
        from sklearn.exceptions import ConvergenceWarning

        c = self.config
        if c.n_components > (most := min(len(data), c.max_examples, self.spec.n_dims)):
            raise NotApplicable(f"n_components must be at most {most} for {len(data)} examples; got {c.n_components}")
        index = torch.randperm(len(data), generator=rng, device=rng.device)[: c.max_examples]
        x = self.to_positive(data.events(index))
        if x.min() < 0:
            raise NotApplicable(f"nmf needs non-negative data; the smallest value of {self.spec.name} is {x.min():.3g}")
        if c.missing == "zero":
            _, parts = factorise_ratings(x, x > 0, c.n_components, rng, c.max_iterations)
            self.parts.copy_(parts)
            return
        seed = int(torch.randint(2**31, (), generator=rng, device=rng.device))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # stopping at max_iterations is the setting
            found = Factoriser(
                c.n_components, init="nndsvda", solver="mu", max_iter=c.max_iterations, random_state=seed
            ).fit(x.cpu().numpy())
        self.parts.copy_(torch.from_numpy(found.components_))

    def to_positive(self, x: Tensor) -> Tensor:
        """Events as non-negative rows: (B, *E) -> (B, D); images go from their domain to [0, 1]."""
        if self.spec.domain is None:
            return x.flatten(1)
        low, high = self.spec.domain
        return ((x.flatten(1) - low) / (high - low)).clamp(0, 1)

    def encode(self, x: Tensor) -> Tensor:
        """Non-negative amounts of the parts: (B, *E) -> (B, K). Raises `BadInput` for negative vectors."""
        rows = self.to_positive(x)
        if len(rows) and rows.min() < 0:
            raise BadInput(f"x must be non-negative for nmf; its smallest value is {rows.min():.3g}")
        if self.config.missing == "zero":
            return self.encode_known(rows)
        gram, target = self.parts @ self.parts.T, rows @ self.parts.T
        w = target / gram.diagonal().clamp(min=TINY)  # where each part alone would put it
        for _ in range(self.config.max_iterations):
            w = w * target / (w @ gram + TINY)
        return w

    def encode_known(self, rows: Tensor) -> Tensor:
        """Amounts that explain the positive entries, whatever the others are: (B, D) -> (B, K)."""
        known = (rows > 0).to(rows.dtype)
        target = rows @ self.parts.T
        w = target / (known @ self.parts.square().T).clamp(min=TINY)  # where each part alone would put it
        for _ in range(self.config.max_iterations):
            w = w * target / ((known * (w @ self.parts)) @ self.parts.T + TINY)
        return w

    def from_codes(self, z: Tensor) -> Tensor:
        out = (z @ self.parts).view(len(z), *self.spec.event_shape)
        if self.spec.domain is None:
            return out
        low, high = self.spec.domain
        return low + (high - low) * out.clamp(0, 1)


def factorise_ratings(
    ratings: Tensor, observed: Tensor, rank: int, rng: torch.Generator, iterations: int = 500, weight_decay: float = 0.0
) -> tuple[Tensor, Tensor]:
    """W (U, K), H (K, I) >= 0 that fit the observed ratings (U, I) alone: the recommender's use of the factorisation.

    `observed` (U, I) is true where a rating is known; the rest of `ratings` is not looked at. No update raises
    |observed * (ratings - W H)|^2 + weight_decay (|W|^2 + |H|^2). Raises `BadInput` for negative ratings.
    """
    mask = observed.to(ratings.dtype)
    x = torch.where(observed, ratings, torch.zeros_like(ratings))
    if x.min() < 0:
        raise BadInput(f"observed ratings must be non-negative; the smallest is {x.min():.3g}")
    if not 1 <= rank <= min(x.shape):
        raise BadInput(f"rank must be from 1 to {min(x.shape)} for ratings {tuple(x.shape)}; got {rank}")
    scale = (x.sum() / mask.sum() / rank).sqrt()
    w = scale * (0.5 + torch.rand(x.shape[0], rank, generator=rng, dtype=x.dtype, device=x.device))
    h = scale * (0.5 + torch.rand(rank, x.shape[1], generator=rng, dtype=x.dtype, device=x.device))
    for _ in range(iterations):
        w = w * (x @ h.T) / ((mask * (w @ h)) @ h.T + weight_decay * w + TINY)
        h = h * (w.T @ x) / (w.T @ (mask * (w @ h)) + weight_decay * h + TINY)
    return w, h
