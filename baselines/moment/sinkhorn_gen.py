"""Sinkhorn generator: trained by debiased entropic optimal transport between a generated and a real batch.

Source      Genevay, Peyre & Cuturi 2018, "Learning Generative Models with Sinkhorn Divergences", Algorithm 1 with the
            squared Euclidean cost on events.
Departures  1. No learned cost (the paper's image runs train one): the plain loss, for comparison with GMMN and SWG.
            2. The gradient comes from the last update (envelope theorem) instead of through all of them, and the
               entropy is annealed within a batch, so that a small one converges in few updates.
            3. Adam and our network sizes; batches of 128, whose divergence is least for averages of images.
Shapes      B batch, Z latent_dim, D numbers in an event, *E event shape.
"""

from __future__ import annotations

from torch import Tensor

from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, Player, Positive, register
from ganbench.nn import make_generator
from ganbench.ops.sinkhorn import sinkhorn_divergence


@register("sinkhorn_gen", family="moment", paper="arXiv:1706.00292")
class SinkhornGenerator(GAN):
    class Config(GAN.Config):
        batch_size: Count = 128
        latent_dim: Count = 10
        blur: Positive = 0.05  # square root of the entropy's weight, per sqrt(D) in data units
        steps: Count = 20  # Sinkhorn updates, half of them while the entropy comes down

    config: Config
    defaults = Defaults(image={"lr": 5e-4, "decay": "none", "blur": 0.1})

    def build(self, spec: DataSpec) -> None:
        self.spec = spec
        self.generator = make_generator(spec, self.config)  # (B, Z) -> (B, *E)

    def players(self) -> list[Player]:
        return [Player("generator", self.generator, self.loss, self.adam)]

    def loss(self, batch: Batch) -> Tensor:
        """Divergence per dimension, so that it is of order one on every event."""
        d = self.spec.n_dims
        fake = self.generate(len(batch.x), batch.rng).flatten(1) / d**0.5
        return sinkhorn_divergence(fake, batch.x.flatten(1) / d**0.5, self.config.blur**2, self.config.steps)
