"""pix2pix: a U-Net makes images from images, held to the pairs' targets by L1 and to their look by a judge of patches.

Source      Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks", equations 1 to 4.
Departures  1. Each example is normed by its own statistics, in training and at test: the paper's batch norm over a
               batch of one image, here at any batch size. Noise is dropout at test too, as in the paper.
            2. A shallower U-Net and patches of 16 pixels for images of 8 to 32; batches of 16 and narrower networks.
            3. The generator's turn has a batch of its own and the discriminator's weights after its turn.
Shapes      B batch, P patches, *C source (C1, H, W), *E target (C2, H, W).
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from ganbench.errors import BadConfig
from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import (
    Batch,
    Count,
    DataSpec,
    Defaults,
    Fraction,
    Model,
    NonNegative,
    NotApplicable,
    Player,
    Positive,
    register,
)
from ganbench.nn.translation import PatchJudge, UNet, instance_norm


@register(
    "pix2pix",
    family="conditional",
    paper="arXiv:1611.07004",
    gives=("translate",),
    needs=("cond", "pairs"),
    conditions=("image",),
    events=("image",),
)
class Pix2Pix(Model):
    class Config(Model.Config):
        batch_size: Count = 1
        width: Count = 64  # filters next to the image, of both networks
        judge_layers: Annotated[int, Ge(0)] = 3  # 0, 1, 2, 3: the discriminator judges patches of 1, 16, 34, 70 pixels
        judge_sees_source: bool = True  # False: the paper's unconditional GAN
        skips: bool = True  # False: the paper's encoder-decoder
        dropout: Fraction = 0.5  # the noise; 0 makes the translation a function
        l1_weight: NonNegative = 100.0  # lambda; 0: GAN alone
        gan_weight: NonNegative = 1.0  # 0: L1 alone, without a discriminator's turns
        lr: Positive = 2e-4
        betas: tuple[Fraction, Fraction] = (0.5, 0.999)

    config: Config
    defaults = Defaults(image={"batch_size": 16, "width": 16, "judge_layers": 1})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        if spec.cond is None or spec.cond.kind != "image" or not spec.cond.paired:
            raise NotApplicable(f"pix2pix learns from pairs of images; {spec.name} has none")
        if spec.cond.shape[1:] != spec.event_shape[1:]:
            raise NotApplicable(
                f"pix2pix makes images of their sources' sides; {spec.name} makes {spec.event_shape[1:]} "
                f"from {spec.cond.shape[1:]}"
            )
        if not c.l1_weight and not c.gan_weight:
            raise BadConfig("l1_weight or gan_weight must be above 0, to learn from something; got 0 for both")
        n_source, (n_target, height, breadth) = spec.cond.shape[0], spec.event_shape
        sides, n_judged = (height, breadth), n_target + (n_source if c.judge_sees_source else 0)
        self.generator = UNet(
            n_source, n_target, sides, c.width, dropout=c.dropout, skips=c.skips
        )  # (B, *C) -> (B, *E)
        self.discriminator = PatchJudge(n_judged, sides, c.width, c.judge_layers, instance_norm)  # -> (B, P)

    def players(self) -> list[Player]:
        c = self.config
        adam = partial(torch.optim.Adam, lr=c.lr, betas=c.betas)
        generator = Player("generator", self.generator, self.generator_loss, adam)
        if not c.gan_weight:
            return [generator]
        return [Player("discriminator", self.discriminator, self.discriminator_loss, adam), generator]

    def judge(self, x: Tensor, source: Tensor) -> Tensor:
        """Logits of the patches of (source, x): (B, *E), (B, *C) -> (B, P)."""
        out: Tensor = self.discriminator(torch.cat([source, x], 1) if self.config.judge_sees_source else x)
        return out

    def discriminator_loss(self, batch: Batch) -> Tensor:  # equation 1, halved as in section 3.3
        assert batch.cond is not None
        with torch.no_grad():
            fake = self.generator(batch.cond, batch.rng)
        return discriminator_bce(self.judge(batch.x, batch.cond), self.judge(fake, batch.cond)) / 2

    def generator_loss(self, batch: Batch) -> Tensor:  # equation 4, with log D maximised as in section 3.3
        assert batch.cond is not None
        c, fake = self.config, self.generator(batch.cond, batch.rng)
        loss: Tensor = c.l1_weight * (batch.x - fake).abs().mean()  # equation 3
        if c.gan_weight:
            loss = loss + c.gan_weight * generator_non_saturating(self.judge(fake, batch.cond))
        return loss

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        assert batch.cond is not None
        return {"l1": (batch.x - self.translate(batch.cond, batch.rng)).abs().mean()}

    def translate(self, cond: Tensor, rng: torch.Generator) -> Tensor:
        out: Tensor = self.generator(cond, rng)
        return out
