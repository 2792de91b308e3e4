"""Capsule network: a classifier whose layers agree on what there is and how it stands, and draw it again.

Source      Sabour et al. 2017, "Dynamic Routing Between Capsules", sections 2 to 4; equation 4 is summed over classes
            as in the paper, where the authors' code divides it by 20 beside the same reconstruction.
Departures  1. Fewer filters and kinds of capsules; 3x3 kernels below 19 pixels; no biases in capsules.
            2. No crops of the input: data sets of shifted digits bring their own.
            3. `network="cnn"` is a CNN of as many parameters, the same images and cross entropy.
Shapes      B batch, K classes, I primary capsules, E capsule_size, *E event shape.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.losses.categorical import margin
from ganbench.model import (
    Batch,
    Count,
    DataSpec,
    Defaults,
    Model,
    NonNegative,
    NotApplicable,
    Player,
    Positive,
    Split,
    register,
)
from ganbench.nn import MLP
from ganbench.nn.capsules import D_PRIMARY, Primary, Routing, equal_cnn, lengths

REACH = 0.25  # to either side of a number of a capsule, of the paper's figure 4
VARIED = 16


@register(
    "capsnet",
    family="conditional",
    paper="arXiv:1710.09829",
    gives=("classify", "reconstruct", "features", "vary"),
    needs=("y",),
    events=("image",),
)
class CapsNet(Model):
    class Config(Model.Config):
        batch_size: Count = 128
        network: Literal["capsule", "cnn"] = "capsule"
        width: Count = 256  # filters of the first convolution
        types: Count = 32  # kinds of primary capsules
        capsule_size: Count = 16
        routing: Count = 3  # iterations
        decoder: tuple[Count, ...] = (512, 1024)
        reconstruction_weight: NonNegative = 5e-4  # of the squared error summed over pixels in [0, 1]
        lr: Positive = 1e-3

    config: Config
    defaults = Defaults(
        image={"width": 64, "types": 8}, small={"width": 32, "types": 8, "decoder": (128, 256), "batch_size": 64}
    )
    example: Tensor  # (K, E) the capsules of a training image, which `vary` starts from

    def build(self, spec: DataSpec) -> None:
        if spec.n_classes is None or spec.n_classes < 2 or spec.domain is None:
            raise NotApplicable(f"capsnet tells classes of images apart; {spec.name} has none")
        self.spec, c, k = spec, self.config, spec.n_classes
        self.primary = Primary(spec, c.width, c.types)  # (B, *E) -> (B, I, 8)
        self.routing = Routing(self.primary.n_capsules, D_PRIMARY, k, c.capsule_size, c.routing)  # -> (B, K, E)
        self.decoder = MLP((k * c.capsule_size,), c.decoder, spec.event_shape, out_activation=nn.Sigmoid)
        self.register_buffer("example", torch.zeros(k, c.capsule_size))
        if c.network == "cnn":
            wanted = sum(p.numel() for p in self.parameters())
            self.cnn = equal_cnn(spec, c.width, k, wanted)  # (B, *E) -> (B, K)
            self.primary = self.routing = self.decoder = nn.Identity()  # type: ignore[assignment]

    def players(self) -> list[Player]:
        module, loss = (self, self.loss) if self.config.network == "capsule" else (self.cnn, self.cross_entropy)
        return [Player("classifier", module, loss, partial(torch.optim.Adam, lr=self.config.lr))]

    @property
    def schedule(self) -> Callable[[float], float]:
        """The authors' decay, by 0.96 every 2,000 of some 50,000 steps: to 0.36 in the end."""
        return lambda share: 0.96 ** (25 * share)

    def capsules(self, x: Tensor) -> Tensor:
        """One capsule a class: (B, *E) -> (B, K, E). Raises `NotApplicable` for a CNN."""
        if self.config.network == "cnn":
            raise NotApplicable('network="cnn" has no capsules')
        return self.routing(self.primary(x))

    def decode(self, v: Tensor, y: Tensor) -> Tensor:
        """Images in the domain from the capsules of these classes alone: (B, K, E), (B,) -> (B, *E)."""
        masked = v * F.one_hot(y, v.shape[1]).to(v)[:, :, None]
        return 2 * self.decoder(masked.flatten(1)) - 1

    def loss(self, batch: Batch) -> Tensor:
        assert batch.y is not None
        v = self.capsules(batch.x)
        error = ((batch.x - self.decode(v, batch.y)) / 2).square().flatten(1).sum(1).mean()
        return margin(lengths(v), batch.y) + self.config.reconstruction_weight * error

    def cross_entropy(self, batch: Batch) -> Tensor:
        assert batch.y is not None
        return F.cross_entropy(self.cnn(batch.x), batch.y)

    def finish(self, data: Split, rng: torch.Generator) -> None:
        if self.config.network == "capsule":
            self.example.copy_(self.capsules(data.events(slice(1)))[0])

    def classify(self, x: Tensor) -> Tensor:
        """Lengths as probabilities' odds: log v - log(1 - v), which keeps their order; a CNN's logits."""
        if self.config.network == "cnn":
            out: Tensor = self.cnn(x)
            return out
        return lengths(self.capsules(x)).clamp(1e-6, 1 - 1e-6).logit()

    def features(self, x: Tensor) -> Tensor:
        return self.capsules(x).flatten(1)

    def reconstruct(self, x: Tensor) -> Tensor:
        v = self.capsules(x)
        return self.decode(v, lengths(v).argmax(1))

    def vary(self, n: int, rng: torch.Generator) -> Tensor:
        """A training image drawn again with one number of its capsule after the other moved: section 5.1."""
        if self.config.network == "cnn":
            raise NotApplicable('network="cnn" has no capsules to vary')
        y = lengths(self.example).argmax()
        rows = min(VARIED, self.config.capsule_size)
        v = self.example.repeat(rows, n, 1, 1)  # (R, n, K, E)
        steps = torch.linspace(-REACH, REACH, n, device=v.device)
        for row in range(rows):
            v[row, :, y, row] += steps
        return self.decode(v.flatten(0, 1), y.expand(rows * n)).unflatten(0, (rows, n))
