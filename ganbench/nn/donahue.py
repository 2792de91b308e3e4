"""BiGAN's MLPs for MNIST: generator, encoder and discriminator are one block, joined differently.

Source      Donahue et al. 2017, "Adversarial Feature Learning", section 4.1; sizes, norms and how a condition enters
            are those of the authors' code: no biases, batch norm without gain and bias, weights N(0, 0.02).
Shapes      B batch, D numbers in, Z condition, F hidden, *O out_shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn

from ganbench.data import DataSpec
from ganbench.errors import NotApplicable
from ganbench.nn.linear import Linear


class ConditionedMLP(nn.Module):
    """Two hidden layers; the condition joins before the second one's batch norm: (B, *E)[, (B, Z)] -> (B, *O)."""

    def __init__(
        self,
        n_in: int,
        out_shape: tuple[int, ...],
        *,
        condition: int = 0,
        width: int = 1024,
        first_norm: bool = False,
        activation: Callable[[], nn.Module] = lambda: nn.LeakyReLU(0.2),
        out_activation: Callable[[], nn.Module] = nn.Identity,
    ) -> None:
        super().__init__()
        self.out_shape, self.n_features = out_shape, width
        norm = [nn.BatchNorm1d(width, affine=False)] if first_norm else []
        self.first = nn.Sequential(Linear(n_in, width, bias=False), *norm, activation())
        self.second = Linear(width, width, bias=False)
        self.condition = nn.Linear(condition, width, bias=False) if condition else None
        self.joined = nn.Sequential(nn.BatchNorm1d(width, affine=False), activation())
        self.head = nn.Sequential(Linear(width, math.prod(out_shape), bias=False), out_activation())
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.02)

    def features(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        """Last hidden layer: (B, *E)[, (B, Z)] -> (B, F)."""
        h = self.second(self.first(x.flatten(1)))
        out: Tensor = self.joined(h if self.condition is None else h + self.condition(z))
        return out

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        out: Tensor = self.head(self.features(x, z))
        return out.view(len(x), *self.out_shape)  # out_shape () gives (B,)


class ConditionedGenerator(ConditionedMLP):
    """The block as a generator, whose latent is input and condition at once: (B, Z) -> (B, *E) in (-1, 1).

    Raises `NotApplicable` for data in another range.
    """

    def __init__(self, spec: DataSpec, latent_dim: int, *, width: int = 1024) -> None:
        if spec.domain != (-1.0, 1.0):
            raise NotApplicable(f"networks='paper' end in tanh; {spec.name} is not in (-1, 1); use 'shared'")
        parts = {"activation": nn.ReLU, "out_activation": nn.Tanh}
        super().__init__(latent_dim, spec.event_shape, condition=latent_dim, width=width, first_norm=True, **parts)

    def features(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        return super().features(x, x)
