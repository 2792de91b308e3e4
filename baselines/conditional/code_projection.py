"""Code projection: the code of a trained GAN whose image agrees with what is known, found by gradient descent on it.

Source      Zhu et al. 2016, "Generative Visual Manipulation on the Natural Image Manifold", equations 4 and 5, without
            its edge term; Brock et al. 2017, "Neural Photo Editing", edits the same way. `method="lbfgs"` is iGAN's
            projection, `method="adam"` its editing.
Departures  1. The GAN is the shared pair; no encoder gives a first code: `restarts` draws of the prior do.
            2. The prior's term is |z|^2 / Z, of a normal latent, where the authors' codes end in a tanh.
Shapes      B batch, R restarts, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ganbench.losses.adversarial import discriminator_bce, generator_non_saturating
from ganbench.model import GAN, Batch, Count, Defaults, NonNegative, Positive, register


@register(
    "code_projection",
    family="conditional",
    paper="arXiv:1609.03552",
    gives=("sample", "features", "inpaint", "project"),
    events=("image",),
)
class CodeProjection(GAN):
    class Config(GAN.Config):
        method: Literal["lbfgs", "adam"] = "lbfgs"
        steps: Count = 200  # of either method
        restarts: Count = 8  # first codes; the one whose image is the nearest to what is known is kept
        code_lr: Positive = 0.1  # of Adam on codes
        prior_weight: NonNegative = 0.0  # of |z|^2 / Z

    config: Config
    defaults = Defaults(image={"latent_dim": 64, "lr": 2e-4, "decay": "none"}, small={"lr": 1e-3})

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return discriminator_bce(self.discriminator(batch.x), self.discriminator(fake))

    def generator_loss(self, batch: Batch) -> Tensor:
        return generator_non_saturating(self.discriminator(self.generate(len(batch.x), batch.rng)))

    def find_codes(self, x: Tensor, known: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """The codes whose images agree best with x where it is known, and their mean squared errors there.

        (B, *E), (*E) bool -> (B, Z), (B,). Nothing of x outside of `known` is looked at.
        """
        c, n, r = self.config, len(x), self.config.restarts
        target, mask = torch.where(known, x, 0).repeat(r, *[1] * (x.ndim - 1)), known.to(x)

        def errors(z: Tensor) -> Tensor:  # (R B, Z) -> (R B,)
            return ((self.generator(z) * mask - target).square().flatten(1).sum(1)) / mask.sum().clamp_min(1)

        with torch.enable_grad():
            z = self.draw_latent(r * n, rng).requires_grad_()
            optimizer: torch.optim.Optimizer = (
                torch.optim.Adam([z], lr=c.code_lr)
                if c.method == "adam"
                else torch.optim.LBFGS([z], max_iter=c.steps, line_search_fn="strong_wolfe", tolerance_change=1e-12)
            )

            def closure() -> float:
                loss = (errors(z) + c.prior_weight * z.square().mean(1)).sum()  # examples do not interact
                (z.grad,) = torch.autograd.grad(loss, z)
                return float(loss.detach())

            for step in range(c.steps if c.method == "adam" else 1):
                if c.method == "adam":  # the rate falls to a hundredth, without which codes circle around their goal
                    optimizer.param_groups[0]["lr"] = c.code_lr * 0.01 ** (step / c.steps)
                optimizer.step(closure)
        z = z.detach()
        with torch.no_grad():
            error, codes = errors(z).view(r, n), z.view(r, n, -1)
        best = error.argmin(0)
        rows = torch.arange(n, device=x.device)
        return codes[best, rows], error[best, rows]

    def project(self, x: Tensor, known: Tensor, rng: torch.Generator) -> Tensor:
        codes, _ = self.find_codes(x, known, rng)
        out: Tensor = self.generator(codes)
        return out

    def inpaint(self, x: Tensor, known: Tensor, rng: torch.Generator) -> Tensor:
        return torch.where(known, x, self.project(x, known, rng))
