"""What models of pixels one after another are beside their network: exact likelihood, sampling and completion.

Shapes      B batch, C channels, H, W pixels, L levels.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge, Le
from torch import Tensor, nn

from ganbench.data import Batch, DataSpec
from ganbench.model import Config, Count, Model, NotApplicable, Player, Positive
from ganbench.nn.masked import PixelNetwork, draw_levels, fill, level_values, quantise


class PixelModel(Model):
    """A model whose network gives the logits of every pixel from those before it: (B, C, H, W) -> (B, C, L, H, W)."""

    class Config(Model.Config):
        n_levels: Annotated[int, Ge(2), Le(256)] = 17
        rounding: Literal["nearest", "drawn"] = "nearest"  # drawn: to the level below or above at random
        width: Count = 16  # features, shared out among the image's channels as evenly as can be
        lr: Positive = 2e-3

    config: Config

    def network(self, channels: int) -> nn.Module:
        """The network, a `PixelNetwork`, for images of so many channels."""
        raise NotImplementedError

    def build(self, spec: DataSpec) -> None:
        c = self.config
        if not spec.is_image or spec.domain is None:
            raise NotApplicable(f"{self.name} needs images (C, H, W); events of {spec.name} are {spec.event_shape}")
        if c.width < spec.event_shape[0]:
            raise NotApplicable(f"width must be at least the {spec.event_shape[0]} channels; got {c.width}")
        self.spec, self.domain = spec, spec.domain
        self.net = self.network(spec.event_shape[0])
        self.log_prob_of = f"mass of {c.n_levels} levels" + (" drawn" if c.rounding == "drawn" else "")

    def players(self) -> list[Player]:
        return [Player(self.name, self.net, self.loss, partial(torch.optim.Adam, lr=self.config.lr))]

    def loss(self, batch: Batch) -> Tensor:
        """Nats per image."""
        return -self.log_prob(batch.x, batch.rng).mean()

    def log_prob(self, x: Tensor, rng: torch.Generator) -> Tensor:
        n = self.config.n_levels
        drawn = self.config.rounding == "drawn"
        index = draw_levels(x, self.domain, n, rng) if drawn else quantise(x, self.domain, n)
        logits = self.net(level_values(index, self.domain, n))  # (B, C, L, H, W)
        return -F.cross_entropy(logits.transpose(1, 2), index, reduction="none").flatten(1).sum(1)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        shape = self.spec.event_shape
        nothing = torch.zeros(shape, dtype=torch.bool, device=rng.device)
        return self.inpaint(torch.zeros(n, *shape, device=rng.device), nothing, rng)

    def inpaint(self, x: Tensor, known: Tensor, rng: torch.Generator) -> Tensor:
        """Unknown pixels in raster order given those before; what is known below is kept but not looked at."""
        u = torch.rand(x.shape, generator=rng, device=rng.device, dtype=torch.float64)
        network: PixelNetwork = self.net  # type: ignore[assignment]
        return fill(network, x, known, u, self.domain, self.config.n_levels)
