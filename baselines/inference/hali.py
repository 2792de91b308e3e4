"""HALI: adversarially learned inference with two levels of codes, judged together with the event.

Source      Belghazi et al. 2018, "Hierarchical Adversarially Learned Inference", section 3, with two levels: inference
            x -> z1 -> z2 and generation z2 -> z1 -> x are Markov chains, and D sees (x, z1, z2) at once.
Departures  1. No public code exists: Gaussian conditionals at each level as in ALI, a smaller top level.
            2. Players take turns; smaller networks, without dense layers on 28x28 pixels; batch norm in the
               discriminator's convolutions; Adam at 1e-3, on images 5e-4.
Shapes      B batch, Z1 latent_dim, Z2 top_dim, *E event shape.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn

from ganbench.losses.adversarial import discriminator_bce
from ganbench.losses.likelihoods import gaussian_draw
from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, Player, register
from ganbench.nn import MLP, JointDiscriminator, batch_norm, make_encoder, make_generator


@register("hali", family="inference", paper="arXiv:1802.01071", gives=("sample", "encode", "reconstruct"), version=4)
class HALI(GAN):
    class Config(GAN.Config):
        batch_size: Annotated[int, Ge(2)] = 100  # batch norm needs two
        latent_dim: Count = 4  # first level, next to the event
        top_dim: Count = 2  # second level, where the prior is
        reconstruct_from: Literal[1, 2] = 1  # level of the codes that `reconstruct` decodes

    config: Config
    defaults = Defaults(image={"latent_dim": 64, "lr": 5e-4, "decay": "none", "top_dim": 16})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        top, norm = c.top_dim, nn.BatchNorm1d
        self.generator = make_generator(spec, c, batch_norm(spec, c), dense=False)  # z1 -> x: (B, Z1) -> (B, *E)
        self.prior_1 = MLP((top,), c.hidden, (2 * c.latent_dim,), norm=norm)  # p(z1 | z2): (B, Z2) -> (B, 2 Z1)
        self.encoder = make_encoder(spec, c, 2 * c.latent_dim, mlp_norm=norm)  # q(z1 | x): (B, *E) -> (B, 2 Z1)
        self.encoder_2 = MLP((c.latent_dim,), c.hidden, (2 * top,), norm=norm)  # q(z2 | z1): (B, Z1) -> (B, 2 Z2)
        codes = (c.latent_dim, top)
        self.discriminator = JointDiscriminator(spec, c, codes, norm=nn.BatchNorm2d, dense=False)  # -> (B,)

    def players(self) -> list[Player]:
        coders = nn.ModuleList([self.generator, self.prior_1, self.encoder, self.encoder_2])
        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, self.adam),
            Player("generators and encoders", coders, self.coders_loss, self.adam),
        ]

    def infer(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """z1 ~ q(z1 | x), z2 ~ q(z2 | z1): (B, *E) -> (B, Z1), (B, Z2)."""
        z1 = gaussian_draw(*self.encoder(x).chunk(2, 1), rng=rng)
        return z1, gaussian_draw(*self.encoder_2(z1).chunk(2, 1), rng=rng)

    def generate_all(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """z2 ~ N(0, I), z1 ~ p(z1 | z2), x = G(z1): -> (n, *E), (n, Z1), (n, Z2)."""
        z2 = torch.randn(n, self.config.top_dim, generator=rng, device=rng.device)
        z1 = gaussian_draw(*self.prior_1(z2).chunk(2, 1), rng=rng)
        return self.generator(z1), z1, z2

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            inferred = (batch.x, *self.infer(batch.x, batch.rng))
            generated = self.generate_all(len(batch.x), batch.rng)
        return discriminator_bce(self.discriminator(*inferred), self.discriminator(*generated))

    def coders_loss(self, batch: Batch) -> Tensor:
        q_logits = self.discriminator(batch.x, *self.infer(batch.x, batch.rng))
        p_logits = self.discriminator(*self.generate_all(len(batch.x), batch.rng))
        return discriminator_bce(p_logits, q_logits)  # labels swapped

    def generate(self, n: int, rng: torch.Generator) -> Tensor:
        return self.generate_all(n, rng)[0]

    def means(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean of q(z1 | x), and of q(z2 | z1) there: (B, *E) -> (B, Z1), (B, Z2)."""
        z1 = self.encoder(x).chunk(2, dim=1)[0]
        return z1, self.encoder_2(z1).chunk(2, dim=1)[0]

    def encode(self, x: Tensor) -> Tensor:
        """Both levels side by side: (B, *E) -> (B, Z1 + Z2)."""
        return torch.cat(self.means(x), 1)

    def reconstruct(self, x: Tensor) -> Tensor:
        z1, z2 = self.means(x)
        if self.config.reconstruct_from == 2:
            z1 = self.prior_1(z2).chunk(2, dim=1)[0]
        return self.generator(z1)
