"""GMMN: a generator alone, trained to match all moments of the data through the kernel MMD; there is no adversary.

Source      Li, Swersky & Zemel 2015, "Generative Moment Matching Networks", section 3: MMD, and its root as the loss.
Departures  1. Batches of 256 and Adam instead of 1000 and SGD with momentum; smaller networks on vectors.
            2. Kernel widths are standard deviations per sqrt(D), so that one setting serves all image sizes; those on
               images are the paper's exp(-d^2 / 2 sigma), sigma in {2, 5, 10, 20, 40, 80}, on 784 pixels in [0, 1].
            3. The generator ends in tanh, the range of the data, instead of a sigmoid.
Shapes      B batch, Z latent_dim, D numbers in an event, *E event shape.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, Player, Positive, register
from ganbench.nn import make_generator
from ganbench.ops.kernels import RBF, Kernel, mmd2


def moment_matching_loss(fake: Tensor, real: Tensor, kernel: Kernel) -> Tensor:
    """MMD, whose root keeps the gradient from vanishing as the samples come close: (B, D), (B, D) -> ()."""
    # The clamp is at what float32 resolves: below it the root's gradient would be noise without bound.
    return mmd2(fake, real, kernel).clamp(min=1e-7).sqrt()


@register("gmmn", family="moment", paper="arXiv:1502.02761")
class GMMN(GAN):
    class Config(GAN.Config):
        batch_size: Count = 256  # real and as many generated: the MMD sees pairs
        latent_dim: Count = 10
        architecture: Literal["auto", "mlp", "conv"] = "mlp"
        bandwidths: tuple[Positive, ...] = (0.01, 0.05, 0.2, 1.0, 5.0)  # times sqrt(D)

    config: Config
    prior = "uniform"
    defaults = Defaults(
        image={"decay": "none", "bandwidths": (0.1, 0.16, 0.23, 0.32, 0.45, 0.64), "hidden": (64, 256, 256, 1024)}
    )

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        self.generator = make_generator(spec, c)  # (B, Z) -> (B, *E)
        self.kernel = RBF(tuple(b * spec.n_dims**0.5 for b in c.bandwidths))

    def players(self) -> list[Player]:
        return [Player("generator", self.generator, self.loss, self.adam)]

    def loss(self, batch: Batch) -> Tensor:
        fake = self.generate(len(batch.x), batch.rng)
        return moment_matching_loss(fake.flatten(1), batch.x.flatten(1), self.kernel)
