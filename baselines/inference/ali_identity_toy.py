"""ALI where events and codes have one size, so that the game can be looked at: do two Gaussians learn one map?

Source      Dumoulin et al. 2017, "Adversarially Learned Inference", Algorithm 1, on a toy by Z. Dai that a
            lecture shows: X ~ N(0, 1) and Z ~ N(0, 1). Any map that keeps the Gaussian solves it;
            what can be measured is |E(G(z)) - z|.
Departures  1. A toy without published numbers; both conditionals are Gaussian, p(x | z) as well as q(z | x).
Shapes      B batch, D numbers in an event, which is also the size of the code.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from ganbench.losses.adversarial import discriminator_bce
from ganbench.losses.likelihoods import gaussian_draw
from ganbench.model import Batch, Count, DataSpec, Fraction, Model, NotApplicable, Player, Positive, register
from ganbench.nn import MLP, JointDiscriminator


@register(
    "ali_identity_toy",
    family="inference",
    paper="arXiv:1606.00704",
    gives=("sample", "encode", "reconstruct"),
    events=("vector",),
)
class ALIIdentityToy(Model):
    class Config(Model.Config):
        batch_size: Count = 100
        architecture: Literal["mlp"] = "mlp"
        hidden: tuple[Count, ...] = (64, 64)
        lr: Positive = 2e-4
        betas: tuple[Fraction, Fraction] = (0.5, 0.999)

    config: Config

    def build(self, spec: DataSpec) -> None:
        if len(spec.event_shape) != 1:
            raise NotApplicable(f"ali_identity_toy takes vectors; {spec.name} has {spec.event_shape}: use ali")
        self.spec, d, hidden = spec, spec.n_dims, self.config.hidden
        self.generator = MLP((d,), hidden, (2 * d,))  # p(x | z): (B, D) -> (B, 2 D)
        self.encoder = MLP((d,), hidden, (2 * d,))  # q(z | x): (B, D) -> (B, 2 D)
        # (B, D), (B, D) -> (B,); on vectors it has no convolutions, whose width the config would have to say
        self.discriminator = JointDiscriminator(spec, self.config, (d,))  # type: ignore[arg-type]

    def players(self) -> list[Player]:
        adam = partial(torch.optim.Adam, lr=self.config.lr, betas=self.config.betas)
        coders = nn.ModuleList([self.generator, self.encoder])
        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, adam),
            Player("generator and encoder", coders, self.coders_loss, adam),
        ]

    def draw_latent(self, n: int, rng: torch.Generator) -> Tensor:
        """z ~ N(0, I): -> (n, D)."""
        return torch.randn(n, self.spec.n_dims, generator=rng, device=rng.device)

    def pairs(self, batch: Batch) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """(x, z ~ q(z | x)) and (x ~ p(x | z), z): -> ((B, *E), (B, Z)), ((B, *E), (B, Z))."""
        z = self.draw_latent(len(batch.x), batch.rng)
        code = gaussian_draw(*self.encoder(batch.x).chunk(2, 1), rng=batch.rng)
        return (batch.x, code), (gaussian_draw(*self.generator(z).chunk(2, 1), rng=batch.rng), z)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            inferred, generated = self.pairs(batch)
        return discriminator_bce(self.discriminator(*inferred), self.discriminator(*generated))

    def coders_loss(self, batch: Batch) -> Tensor:
        inferred, generated = self.pairs(batch)
        return discriminator_bce(self.discriminator(*generated), self.discriminator(*inferred))  # labels swapped

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        z = self.draw_latent(len(batch.x), batch.rng)
        x = self.generator(z).chunk(2, dim=1)[0]
        return {"identity_error": (self.encode(x) - z).square().mean()}

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return gaussian_draw(*self.generator(self.draw_latent(n, rng)).chunk(2, 1), rng=rng)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).chunk(2, dim=1)[0]

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.generator(self.encode(x)).chunk(2, dim=1)[0]
