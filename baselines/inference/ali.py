"""ALI: a generator and a stochastic encoder learned together, by a discriminator of pairs (event, code).

Source      Dumoulin et al. 2017, "Adversarially Learned Inference", Algorithm 1: (x, z ~ q(z | x)) against
            (G(z), z ~ p(z)); generator and encoder descend the loss with the labels swapped.
Departures  1. Players take turns; smaller networks, on 28x28 pixels without dense layers; batch norm in the
               discriminator's convolutions instead of dropout.
            2. Adam at 1e-3, on images at 5e-4, for budgets far below the paper's thousands of epochs at 1e-4.
            3. `networks="paper"` are those of PacGAN's rerun on mixtures, whose encoder takes its noise as an input.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn

from ganbench.losses.adversarial import discriminator_bce
from ganbench.losses.likelihoods import gaussian_draw
from ganbench.model import GAN, Batch, DataSpec, Defaults, Player, register
from ganbench.nn import JointDiscriminator, batch_norm, hidden_layers, make_encoder, make_generator, pooled
from ganbench.nn.papers import ali_mixtures


@register("ali", family="inference", paper="arXiv:1606.00704", gives=("sample", "encode", "reconstruct"), version=5)
class ALI(GAN):
    class Config(GAN.Config):
        batch_size: Annotated[int, Ge(2)] = 100  # batch norm needs two
        networks: Literal["shared", "paper"] = "shared"

    config: Config
    encoder: nn.Module
    defaults = Defaults(image={"latent_dim": 64, "lr": 5e-4, "decay": "none"})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        if c.networks == "paper":
            self.generator, self.encoder, self.discriminator = ali_mixtures(spec, c.latent_dim)
            return
        self.generator = make_generator(spec, c, batch_norm(spec, c), dense=False)  # (B, Z) -> (B, *E)
        # (B, *E) -> (B, 2 Z): mean and log variance of q(z | x)
        self.encoder = make_encoder(spec, c, 2 * c.latent_dim, mlp_norm=nn.BatchNorm1d)
        # (B, *E), (B, Z) -> (B,)
        self.discriminator = JointDiscriminator(spec, c, (c.latent_dim,), norm=nn.BatchNorm2d, dense=False)

    def players(self) -> list[Player]:
        coders = nn.ModuleList([self.generator, self.encoder])
        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, self.adam),
            Player("generator and encoder", coders, self.coders_loss, self.adam),
        ]

    def infer(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """z ~ q(z | x), reparametrised: (B, *E) -> (B, Z)."""
        if self.config.networks == "paper":
            return self.encode_with(x, torch.randn(x.shape, generator=rng, device=x.device))
        return gaussian_draw(*self.encoder(x).chunk(2, 1), rng=rng)

    def encode_with(self, x: Tensor, noise: Tensor) -> Tensor:  # the rerun's: (B, D), (B, D) -> (B, Z)
        return self.encoder(torch.cat([x, noise], 1))

    def judge(self, x: Tensor, z: Tensor) -> Tensor:  # (B, *E), (B, Z) -> (B,)
        pair = (torch.cat([x, z], 1),) if self.config.networks == "paper" else (x, z)
        return self.discriminator(*pair)

    def pairs(self, batch: Batch) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """(x, z ~ q(z | x)) and (G(z), z): -> ((B, *E), (B, Z)), ((B, *E), (B, Z))."""
        z = self.draw_latent(len(batch.x), batch.rng)
        return (batch.x, self.infer(batch.x, batch.rng)), (self.generator(z), z)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            inferred, generated = self.pairs(batch)
        return discriminator_bce(self.judge(*inferred), self.judge(*generated))

    def coders_loss(self, batch: Batch) -> Tensor:
        inferred, generated = self.pairs(batch)
        return discriminator_bce(self.judge(*generated), self.judge(*inferred))  # labels swapped

    def encode(self, x: Tensor) -> Tensor:
        if self.config.networks == "paper":
            return self.encode_with(x, torch.zeros_like(x))
        return self.encoder(x).chunk(2, dim=1)[0]

    def representation(self, x: Tensor) -> Tensor:  # section 3.3: the encoder's last three hidden layers and output
        if self.config.networks == "paper":
            return self.encode(x)
        body: Any = self.encoder.body
        layers = hidden_layers(body, x if isinstance(body[0], nn.Conv2d) else x.flatten(1))
        return torch.cat([pooled(layers[-3:]), self.encoder(x)], 1)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.generator(self.encode(x))
