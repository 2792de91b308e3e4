"""WGAN-GP: a Wasserstein GAN whose critic is held near 1-Lipschitz by a penalty on its gradients.

Source      Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", Algorithm 1.
Departures  1. On vectors smaller networks and batches than the paper's (3 x 512 units, 256 examples, 1e-4 for 100,000
               iterations), ten times its learning rate, falling to 0 in the end.
            2. lambda = 1 on vectors: the paper's 0.1 is for mixtures scaled to unit size, ours are larger; `scale`
               brings them to that size for both players. `networks="paper"` are the toys'.
            3. Weights of convolutions start at N(0, 0.02), not He's.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ganbench.errors import NotApplicable
from ganbench.losses.penalties import critic_readings
from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, Fraction, NonNegative, Player, Positive, register
from ganbench.nn import make_pair
from ganbench.nn.papers import wgan_gp_toys


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """Mean of (|grad_x critic(x)| - 1)^2 at x uniform on each segment from fake to real: (B, *E), (B, *E) -> ()."""
    t = torch.rand(len(real), *[1] * (real.ndim - 1), generator=rng, device=real.device)
    x = (t * real + (1 - t) * fake).requires_grad_()
    # Without batch norm examples do not interact, so the gradient of the sum holds each example's own.
    (grad,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return (grad.flatten(1).norm(dim=1) - 1).square().mean()


@register("wgan_gp", family="adversarial", paper="arXiv:1704.00028", gives=("sample", "features"), version=3)
class WGANGP(GAN):
    class Config(GAN.Config):
        hidden: tuple[Count, ...] = (128, 128, 128)
        betas: tuple[Fraction, Fraction] = (0.5, 0.9)
        n_critic: Count = 5  # critic updates per generator update
        gp_weight: NonNegative = 1.0  # lambda
        scale: Positive = 1.0  # the players play with events times this
        networks: Literal["shared", "paper"] = "shared"

    config: Config
    critic: nn.Module
    defaults = Defaults(image={"latent_dim": 64, "lr": 1e-4, "decay": "none", "gp_weight": 10.0})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        if c.scale != 1 and spec.domain is not None:
            raise NotApplicable(f"scale={c.scale:g} is for vectors without a domain; images stay in {spec.domain}")
        if c.networks == "paper":
            self.generator, self.critic = wgan_gp_toys(spec, c.latent_dim, c.hidden)
        else:
            self.generator, self.critic = make_pair(spec, c, "example")  # (B, Z) -> (B, *E) -> (B,)

    def players(self) -> list[Player]:
        return [
            Player("critic", self.critic, self.critic_loss, self.adam, updates=self.config.n_critic),
            Player("generator", self.generator, self.generator_loss, self.adam),
        ]

    def critic_loss(self, batch: Batch) -> Tensor:  # Algorithm 1, line 7
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        real = self.config.scale * batch.x
        penalty = gradient_penalty(self.critic, real, fake, batch.rng)
        return self.critic(fake).mean() - self.critic(real).mean() + self.config.gp_weight * penalty

    def generator_loss(self, batch: Batch) -> Tensor:  # line 12
        return -self.critic(self.generate(len(batch.x), batch.rng)).mean()

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return critic_readings(self.critic, self.config.scale * batch.x, fake, batch.rng)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.generate(n, rng) / self.config.scale

    def features(self, x: Tensor) -> Tensor:
        return super().features(self.config.scale * x)
