"""CycleGAN: two generators, one each way between unpaired sets of images, that must undo each other.

Source      Zhu et al. 2017, "Unpaired Image-to-Image Translation", equations 1 to 3 with the least squares of section 4
            and the identity loss of section 5.2, which the authors' code has on by default.
Departures  1. Fewer blocks and filters and batches of 16 on images of 8 to 32 pixels, whose patches are of 16.
            2. Each party's turn has a batch of its own; the judges see fakes of the generators after their turn.
            3. Images that change places with the pool's within one batch have distinct places.
Shapes      B batch, S places in a pool, P patches, *C source (C1, H, W), *E target (C2, H, W).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from ganbench.errors import BadConfig
from ganbench.losses.adversarial import discriminator_least_squares
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
from ganbench.nn.translation import ImagePool, PatchJudge, residual_translator


@register(
    "cyclegan",
    family="conditional",
    paper="arXiv:1703.10593",
    gives=("translate", "translate_back"),
    needs=("cond",),
    conditions=("image",),
    events=("image",),
)
class CycleGAN(Model):
    class Config(Model.Config):
        batch_size: Count = 1
        width: Count = 64  # filters next to the image, of all networks
        blocks: Count = 9
        judge_layers: Annotated[int, Ge(0)] = 3  # 0, 1, 2, 3: the discriminators judge patches of 1, 16, 34, 70 pixels
        cycle_weight: NonNegative = 10.0  # lambda; 0: two GANs that know nothing of each other
        identity_weight: NonNegative = 0.5  # times lambda; only where both sides have as many channels
        pool: Annotated[int, Ge(0)] = 50  # fakes of either kind that are kept for the discriminators; 0: none
        lr: Positive = 2e-4
        betas: tuple[Fraction, Fraction] = (0.5, 0.999)

    config: Config
    defaults = Defaults(image={"batch_size": 16, "width": 16, "blocks": 3, "judge_layers": 1})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        if spec.cond is None or spec.cond.kind != "image" or spec.cond.shape[1:] != spec.event_shape[1:]:
            has = "has no conditions" if spec.cond is None else f"makes {spec.event_shape} from {spec.cond.shape}"
            raise NotApplicable(f"cyclegan makes images from images of the same sides; {spec.name} {has}")
        if 0 < c.pool < c.batch_size:
            raise BadConfig(f"pool must be 0 or hold a batch of {c.batch_size}; got {c.pool}")
        n_source, (n_target, height, breadth) = spec.cond.shape[0], spec.event_shape
        sides = (height, breadth)
        self.forth = residual_translator(n_source, n_target, sides, c.width, c.blocks)  # G: (B, *C) -> (B, *E)
        self.back = residual_translator(n_target, n_source, sides, c.width, c.blocks)  # F: (B, *E) -> (B, *C)
        self.target_judge = PatchJudge(n_target, sides, c.width, c.judge_layers)  # D_Y: (B, *E) -> (B, P)
        self.source_judge = PatchJudge(n_source, sides, c.width, c.judge_layers)  # D_X: (B, *C) -> (B, P)
        self.targets, self.sources = ImagePool(c.pool, spec.event_shape), ImagePool(c.pool, spec.cond.shape)
        self.generators = nn.ModuleList([self.forth, self.back])
        self.discriminators = nn.ModuleList([self.target_judge, self.source_judge])
        self.has_identity = n_source == n_target and c.identity_weight > 0

    def players(self) -> list[Player]:
        adam = partial(torch.optim.Adam, lr=self.config.lr, betas=self.config.betas)
        return [
            Player("generators", self.generators, self.generators_loss, adam),
            Player("discriminators", self.discriminators, self.discriminators_loss, adam),
        ]

    @property
    def schedule(self) -> Callable[[float], float]:
        """Half of the budget constant, half of it falling to 0."""
        return lambda share: min(1.0, 2 * (1 - share))

    def generators_loss(self, batch: Batch) -> Tensor:  # equation 3
        x, y, c = batch.cond, batch.x, self.config  # the paper's letters: x is the source
        assert x is not None
        made, found = self.forth(x), self.back(y)
        loss: Tensor = (self.target_judge(made) - 1).square().mean() + (self.source_judge(found) - 1).square().mean()
        if c.cycle_weight:
            loss = loss + c.cycle_weight * self.cycle_loss(x, y, made, found)
        if self.has_identity:
            loss = loss + c.identity_weight * c.cycle_weight * self.identity_loss(x, y)
        return loss

    def cycle_loss(self, x: Tensor, y: Tensor, made: Tensor, found: Tensor) -> Tensor:
        """|F(G(x)) - x| + |G(F(y)) - y|, of made = G(x) and found = F(y): equation 2."""
        return (self.back(made) - x).abs().mean() + (self.forth(found) - y).abs().mean()

    def identity_loss(self, x: Tensor, y: Tensor) -> Tensor:
        """|G(y) - y| + |F(x) - x|: what is a target already stays as it is."""
        return (self.forth(y) - y).abs().mean() + (self.back(x) - x).abs().mean()

    def discriminators_loss(self, batch: Batch) -> Tensor:
        x, y = batch.cond, batch.x
        assert x is not None
        with torch.no_grad():
            made, found = self.targets.mix(self.forth(x), batch.rng), self.sources.mix(self.back(y), batch.rng)
        target = discriminator_least_squares(self.target_judge(y), self.target_judge(made))  # with its factor 1/2
        return target + discriminator_least_squares(self.source_judge(x), self.source_judge(found))

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        x, y = batch.cond, batch.x
        assert x is not None
        with torch.no_grad():
            return {"cycle": self.cycle_loss(x, y, self.forth(x), self.back(y))}

    def translate(self, cond: Tensor, rng: torch.Generator) -> Tensor:
        out: Tensor = self.forth(cond)
        return out

    def translate_back(self, x: Tensor, rng: torch.Generator) -> Tensor:
        out: Tensor = self.back(x)
        return out
