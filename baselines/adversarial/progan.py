"""Progressive growing: generator and critic begin with small images, and layers for larger ones are faded in.

Source      Karras et al. 2018, "Progressive Growing of GANs", sections 2 to 4, appendix A, and the authors' code.
Departures  1. Phases are shares of the budget, all of one length: stabilise, fade in, stabilise, and so on; what is
               left past `growth` is for the full size. Batches do not shrink. Fewer filters.
            2. Samples are clamped to the images' domain, at which the linear generator does not stop.
Notes       The penalty goes through the minibatch layer, in which examples interact, as in the authors' code.
Shapes      B batch, Z latent_dim, L depth, s side at a depth, *E event shape (C, S, S).
"""

from __future__ import annotations

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.errors import NotApplicable
from ganbench.model import Batch, Count, DataSpec, Defaults, Fraction, Model, NonNegative, Player, Positive, register
from ganbench.nn import EMA
from ganbench.nn.growing import GrowingCritic, GrowingGenerator, growing_sides

SHOWN = 8  # latents of which the growth is drawn


@register("progan", family="adversarial", paper="arXiv:1710.10196", gives=("sample", "vary"), events=("image",))
class ProGAN(Model):
    class Config(Model.Config):
        batch_size: Count = 16
        latent_dim: Count = 512
        width: Count = 16  # filters next to the full image
        grow: bool = True  # False: the same networks at full size from the start
        growth: Fraction = 0.6  # share of the budget after which the full size has faded in
        gp_weight: NonNegative = 10.0
        drift_weight: NonNegative = 1e-3  # of the squared scores of real images
        ema_decay: Fraction = 0.999  # of the averaged weights that are sampled from
        lr: Positive = 1e-3
        betas: tuple[Fraction, Fraction] = (0.0, 0.99)

    config: Config
    defaults = Defaults(image={"latent_dim": 128, "width": 8}, small={"latent_dim": 64, "width": 16})
    depth: Tensor  # L + alpha - 1 while depth L is faded in with share alpha, a number from 0 to the largest depth

    def build(self, spec: DataSpec) -> None:
        if not spec.is_image or spec.event_shape[1] != spec.event_shape[2]:
            raise NotApplicable(f"progan makes square images; {spec.name} has events {spec.event_shape}")
        self.spec, c = spec, self.config
        channels, side = spec.event_shape[:2]
        self.sides = growing_sides(side)
        self.top = len(self.sides) - 1
        self.generator = GrowingGenerator(c.latent_dim, channels, self.sides, c.width)
        self.critic = GrowingCritic(channels, self.sides, c.width)
        self.average = EMA(self.generator, c.ema_decay)
        self.register_buffer("depth", torch.tensor(0.0 if c.grow else float(self.top)))

    def advance(self, share: float) -> None:
        """Depth 0 is stabilised for one phase; each later depth is faded in for one and stabilised for one."""
        if self.config.grow:
            phase = share / self.config.growth * 2 * self.top if self.config.growth else 2.0 * self.top
            whole = int(phase // 2)  # depths that are there in full
            self.depth.fill_(min(whole + max(0.0, phase % 2 - 1), float(self.top)))

    def players(self) -> list[Player]:
        """A pair of players a depth, whose optimizers start anew with it."""
        c, top = self.config, self.top
        adam = partial(torch.optim.Adam, lr=c.lr, betas=c.betas)
        found = []
        for level in range(top + 1) if c.grow else [top]:
            # Depth L is played from where it begins to fade in: phase 2 L - 1 of 2 `top` up to `growth`.
            start, end = (max(0, 2 * k - 1) / (2 * top) * c.growth for k in (level, level + 1))
            span = (start if c.grow else 0.0, end if level < top else 1.0)
            critic, generator = partial(self.critic_loss, level=level), partial(self.generator_loss, level=level)
            found += [
                Player(f"critic {self.sides[level]}", self.critic, critic, adam, span=span),
                Player(
                    f"generator {self.sides[level]}", self.generator, generator, adam, span=span,
                    after=self.average.update,
                ),
            ]  # fmt: skip
        return found

    def alpha(self, level: int) -> Tensor:
        """The share of this depth beside the one before."""
        return (self.depth - (level - 1)).clamp(0, 1)

    def draw_latent(self, n: int, rng: torch.Generator) -> Tensor:
        """Normal; the generator's first layer puts them on a sphere: -> (n, Z)."""
        return torch.randn(n, self.config.latent_dim, generator=rng, device=rng.device)

    def shown(self, x: Tensor, level: int) -> Tensor:
        """Real images as a depth sees them, half as sharp while it fades in: (B, *E) -> (B, C, s, s)."""
        x = F.avg_pool2d(x, self.sides[-1] // self.sides[level])
        if level == 0:
            return x
        return torch.lerp(F.interpolate(F.avg_pool2d(x, 2), scale_factor=2), x, self.alpha(level))

    def critic_loss(self, batch: Batch, level: int) -> Tensor:
        """WGAN-GP with a drift term: section 4 and appendix A.1."""
        c, alpha, real, rng = self.config, self.alpha(level), self.shown(batch.x, level), batch.rng
        with torch.no_grad():
            fake = self.generator(self.draw_latent(len(real), rng), level, alpha)
        t = torch.rand(len(real), 1, 1, 1, generator=rng, device=real.device)
        between = torch.lerp(real, fake, t).requires_grad_()
        (grad,) = torch.autograd.grad(self.critic(between, level, alpha).sum(), between, create_graph=True)
        penalty = (grad.flatten(1).norm(dim=1) - 1).square().mean()
        scores = self.critic(real, level, alpha)
        loss: Tensor = self.critic(fake, level, alpha).mean() - scores.mean()
        return loss + c.gp_weight * penalty + c.drift_weight * scores.square().mean()

    def generator_loss(self, batch: Batch, level: int) -> Tensor:
        z, alpha = self.draw_latent(len(batch.x), batch.rng), self.alpha(level)
        return -self.critic(self.generator(z, level, alpha), level, alpha).mean()

    def diagnostics(self, batch: Batch) -> dict[str, Tensor]:
        return {"depth": self.depth}

    def at(self, z: Tensor, depth: float) -> Tensor:
        """Images of the averaged weights at a depth, scaled up to the full size by copies: (B, Z) -> (B, *E)."""
        level = min(self.top, math.ceil(depth))
        images = self.average(z, level, z.new_tensor(depth - (level - 1)).clamp(0, 1))
        return F.interpolate(images, scale_factor=self.sides[-1] // self.sides[level]).clamp(-1, 1)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """At the depth that is reached."""
        return self.at(self.draw_latent(n, rng), float(self.depth))

    def vary(self, n: int, rng: torch.Generator) -> Tensor:
        """Along each row the depth grows, of one latent."""
        z = self.draw_latent(SHOWN, rng)
        return torch.stack([self.at(z, self.top * i / max(1, n - 1)) for i in range(n)], 1)
