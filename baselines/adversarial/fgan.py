"""f-GAN: the discriminator bounds an f-divergence of data and generator, the generator minimises it; six of them.

Source      Nowozin et al. 2016, "f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization",
            equation 6; table 2 is `ganbench.losses.divergences.DIVERGENCES`.
Departures  1. The shared small networks and batches instead of the paper's batch of 4096.
            2. The generator climbs E g_f(V(G(z))), which section 3.2 prefers; Algorithm 1's own -E f*(g_f(V(G(z)))) is
               `generator="conjugate"`, the default for reverse KL, where it never saturates.
            3. Gradients are cut to a norm of 1 for Hellinger, reverse KL, and KL on images; the others go without.
Shapes      B batch, Z latent_dim, *E event shape; V is the discriminator's output.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ganbench.losses.divergences import DIVERGENCES, Divergence, generator_f, generator_f_exact, variational_bound
from ganbench.losses.penalties import gradient_clipped
from ganbench.model import GAN, Batch, Defaults, Player, Positive, register


class FGAN(GAN):
    class Config(GAN.Config):
        generator: Literal["activation", "conjugate"] = "activation"

    config: Config
    divergence: ClassVar[Divergence]

    def bound(self, batch: Batch) -> Tensor:  # equation 6: at most D_f(data || generator)
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return variational_bound(self.divergence, self.discriminator(batch.x), self.discriminator(fake))

    def discriminator_loss(self, batch: Batch) -> Tensor:
        return -self.bound(batch)

    def generator_loss(self, batch: Batch) -> Tensor:
        fake = self.discriminator(self.generate(len(batch.x), batch.rng))
        loss = generator_f if self.config.generator == "activation" else generator_f_exact
        return loss(self.divergence, fake)

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        with torch.no_grad():
            return {"divergence_bound": self.bound(batch)}


class ClippedFGAN(FGAN):
    """For divergences whose losses grow as exp(V): one huge gradient would stay in Adam's second moments."""

    class Config(FGAN.Config):
        gradient_clip: Positive | None = 1.0  # largest norm of a player's gradient

    config: Config

    def players(self) -> list[Player]:
        clip, players = self.config.gradient_clip, super().players()
        return players if clip is None else [replace(p, optimizer=gradient_clipped(p.optimizer, clip)) for p in players]


@register("fgan_gan", family="adversarial", paper="arXiv:1606.00709", gives=("sample", "features"), version=3)
class OriginalFGAN(FGAN):
    """f-GAN, GAN: the original objective, 2 JS - log 4, as one of its kind; its discriminator is that of gan_ns."""

    divergence = DIVERGENCES["gan"]


@register("fgan_js", family="adversarial", paper="arXiv:1606.00709", gives=("sample", "features"), version=3)
class JensenShannonGAN(FGAN):
    """f-GAN, Jensen-Shannon: the generator minimises a bound on twice the Jensen-Shannon divergence."""

    divergence = DIVERGENCES["js"]


@register("fgan_pearson", family="adversarial", paper="arXiv:1606.00709", gives=("sample", "features"), version=3)
class PearsonGAN(FGAN):
    """f-GAN, Pearson: the generator minimises a bound on Pearson's chi-square of data against generator."""

    divergence = DIVERGENCES["pearson"]


@register("fgan_kl", family="adversarial", paper="arXiv:1606.00709", gives=("sample", "features"), version=4)
class KLGAN(ClippedFGAN):
    """f-GAN, KL: the generator minimises a bound on KL(data || generator), which punishes missing modes."""

    class Config(ClippedFGAN.Config):
        gradient_clip: Positive | None = None

    config: Config
    defaults = Defaults(image={"latent_dim": 64, "lr": 2e-4, "decay": "none", "gradient_clip": 1.0})
    divergence = DIVERGENCES["kl"]


@register("fgan_rkl", family="adversarial", paper="arXiv:1606.00709", gives=("sample", "features"), version=5)
class ReverseKLGAN(ClippedFGAN):
    """f-GAN, reverse KL: the generator minimises a bound on KL(generator || data), which forgives missing modes."""

    class Config(ClippedFGAN.Config):
        generator: Literal["activation", "conjugate"] = "conjugate"

    config: Config
    divergence = DIVERGENCES["rkl"]


@register("fgan_hellinger", family="adversarial", paper="arXiv:1606.00709", gives=("sample", "features"), version=4)
class HellingerGAN(ClippedFGAN):
    """f-GAN, Hellinger: the generator minimises a bound on the squared Hellinger distance."""

    divergence = DIVERGENCES["hellinger"]
