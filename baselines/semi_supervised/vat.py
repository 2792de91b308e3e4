"""Virtual adversarial training: a classifier whose prediction must not change along the direction where it would most.

Source      Miyato et al. 2016, "Distributional Smoothing with Virtual Adversarial Training", arXiv:1507.00677, and
            2017, arXiv:1704.03976. Networks and constants are those of the authors' code for 100 labels of MNIST.
Departures  1. xi is 1e-3 instead of 1e-6, whose steps drown in float32: their directions have a cosine of 0.6 with
               the exact ones, those of 1e-3 one of 0.999.
            2. Smaller networks on events below 100 numbers.
            3. The rate falls ten times over any budget, as the authors' does in 5,000 updates (the recipe keeps 100).
Shapes      B batch, L labelled, K classes, F features, *E event shape.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.losses.categorical import categorical_kl
from ganbench.losses.virtual_adversarial import virtual_adversarial_perturbation
from ganbench.model import (
    Batch,
    Count,
    DataSpec,
    Defaults,
    Fraction,
    Model,
    NonNegative,
    Player,
    Positive,
    Split,
    register,
)
from ganbench.nn import MLP, to_unit


@register(
    "vat",
    family="semi_supervised",
    paper="arXiv:1507.00677",
    gives=("classify", "features"),
    needs=("labels",),
    version=2,
)
class VAT(Model):
    class Config(Model.Config):
        batch_size: Count = 250
        labelled_batch_size: Count = 100
        hidden: tuple[Count, ...] = (1200, 1200)
        epsilon: Positive = 0.3  # length of the perturbation, of images in [0, 1]
        xi: Positive = 1e-3
        power_steps: Count = 1
        weight: NonNegative = 1.0  # lambda
        lr: Positive = 2e-3
        lr_decay: Fraction = 0.9
        decays: Count = 10  # over the budget; the authors' code has one every 500 updates, 100 in its 50,000

    config: Config
    defaults = Defaults(small={"hidden": (200, 200)})

    def build(self, spec: DataSpec) -> None:
        self.spec, k = spec, spec.classes_for(self.name)
        self.classifier = MLP(  # batch norm in every layer, the last included: (B, *E) -> (B, K) logits
            spec.event_shape, self.config.hidden, (k,), norm=nn.BatchNorm1d, out_activation=partial(nn.BatchNorm1d, k)
        )

    def players(self) -> list[Player]:
        return [Player("classifier", self.classifier, self.loss, partial(torch.optim.Adam, lr=self.config.lr))]

    @property
    def schedule(self) -> Callable[[float], float]:
        """A learning rate that falls by a tenth, at even distances, so many times."""
        return lambda share: float(self.config.lr_decay ** int(self.config.decays * share))

    def loss(self, batch: Batch) -> Tensor:
        x, y = batch.labelled
        supervised = F.cross_entropy(self.classifier(self.seen(x)), y)
        return supervised + self.config.weight * self.smoothness(self.seen(batch.x), batch.rng)

    def smoothness(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Mean KL between predictions at x and at its adversarial neighbour; no gradient through the first."""
        c = self.config
        with torch.no_grad():
            logits = self.classifier(x)
        r = virtual_adversarial_perturbation(
            self.classifier, x, logits, rng, epsilon=c.epsilon, xi=c.xi, steps=c.power_steps
        )
        return categorical_kl(logits, self.classifier(x + r)).mean()

    def finish(self, data: Split, rng: torch.Generator) -> None:
        """Batch norm's statistics anew from the training events: those kept so far saw perturbed ones too."""
        n = len(data)
        batches = torch.arange(n, device=rng.device).tensor_split(max(1, n // self.config.batch_size))
        torch.optim.swa_utils.update_bn((self.seen(data.events(i)) for i in batches), self.classifier)

    def seen(self, x: Tensor) -> Tensor:
        """Events as the classifier takes them, images in [0, 1]: (B, *E) -> (B, *E)."""
        return to_unit(x, self.spec) if self.spec.domain else x

    def features(self, x: Tensor) -> Tensor:
        return self.classifier.features(self.seen(x))

    def classify(self, x: Tensor) -> Tensor:
        return self.classifier(self.seen(x))
