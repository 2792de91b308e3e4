"""What models of two networks share, a generator and a discriminator.

Shapes      B batch, Z latent, F features, *E event shape.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganbench.data import Batch, DataSpec, Split
from ganbench.errors import NotApplicable
from ganbench.model import contract
from ganbench.model.contract import Count, Defaults, Fraction, Model, Player, Positive
from ganbench.nn.architectures import Residual, Robustness, Stacked
from ganbench.nn.default import JudgeNorm, make_pair
from ganbench.nn.moments import some_batches, take_moments


class GAN(Model):
    """What generator-and-discriminator models share: latent draws, default networks, sampling, features.

    Subclasses define `discriminator_loss` and `generator_loss`; the Wasserstein family calls its second network
    `critic` and overrides `build` and `players` to say so.
    """

    class Config(contract.Config):
        latent_dim: Count = 2
        architecture: Literal["auto", "mlp", "conv"] | Robustness | Stacked | Residual = (
            "auto"  # auto: conv from 16 pixels on
        )
        hidden: tuple[Count, ...] = (128, 128)  # widths of both MLPs
        width: Count = 32  # filters of the convolutions next to the image
        lr: Positive = 1e-3
        betas: tuple[Fraction, Fraction] = (0.5, 0.999)
        decay: Literal["none", "linear", "throughout"] = "linear"  # to 0 over the second half of the budget, or all

    config: Config
    defaults = Defaults(image={"latent_dim": 64, "lr": 2e-4, "decay": "none"})  # DCGAN's
    judge_norm: ClassVar[JudgeNorm] = "batch"  # in the discriminator's convolutions; "example" under a penalty on each
    prior: Literal["normal", "uniform"] = "normal"  # of the latents: N(0, I), or uniform on (-1, 1)
    generator: nn.Module
    discriminator: nn.Module

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.generator, self.discriminator = make_pair(spec, self.config, self.judge_norm)  # (B, Z) -> (B, *E) -> (B,)

    @property
    def adam(self) -> Callable[..., Optimizer]:
        """Adam at the config's rate and betas."""
        return partial(torch.optim.Adam, lr=self.config.lr, betas=self.config.betas)

    def players(self) -> list[Player]:
        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, self.adam),
            Player("generator", self.generator, self.generator_loss, self.adam),
        ]

    @property
    def schedule(self) -> Callable[[float], float] | None:
        """What `decay` asks for: half of the budget constant and half of it falling, or falling throughout."""
        if self.config.decay == "throughout":
            return lambda share: 1 - share
        return (lambda share: min(1.0, 2 * (1 - share))) if self.config.decay == "linear" else None

    def finish(self, data: Split, rng: torch.Generator) -> None:
        """Batch norm's moments in the judge anew from real events alone, by which it will be read."""
        look = self.reconstruct if "reconstruct" in self.gives else self.features if "features" in self.gives else None
        judge = getattr(self, "critic", getattr(self, "discriminator", None))
        if look is not None and judge is not None:
            with suppress(NotApplicable):  # a judge of packs has no features of one event
                take_moments(judge, look, some_batches(data, self.config.batch_size, rng))

    def discriminator_loss(self, batch: Batch) -> Tensor:
        """What the discriminator minimises."""
        raise NotImplementedError

    def generator_loss(self, batch: Batch) -> Tensor:
        """What the generator minimises."""
        raise NotImplementedError

    def draw_latent(self, n: int, rng: torch.Generator) -> Tensor:
        """z from the prior: -> (n, Z)."""
        if self.prior == "uniform":
            return 2 * torch.rand(n, self.config.latent_dim, generator=rng, device=rng.device) - 1
        return torch.randn(n, self.config.latent_dim, generator=rng, device=rng.device)

    def generate(self, n: int, rng: torch.Generator) -> Tensor:
        """Fresh fakes, with gradients: -> (n, *E)."""
        out: Tensor = self.generator(self.draw_latent(n, rng))
        return out

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.generate(n, rng)

    def features(self, x: Tensor) -> Tensor:
        judge: Any = self.critic if hasattr(self, "critic") else self.discriminator
        out: Tensor = judge.features(x).flatten(1)
        return out
