"""A discriminator of pairs or triples: events together with codes.

Shapes      B batch, Z total size of the codes, F features of the event, *E event shape, *O out_shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganbench.data import DataSpec
from ganbench.nn.default import Layers, _conv, make_discriminator
from ganbench.nn.mlp import MLP


class JointDiscriminator(nn.Module):
    """One tower for the event, one for its codes, an MLP on both: (B, *E), (B, Z1)[, (B, Z2)] -> (B, *O) logits.

    Towers are there where events are images of 16 pixels and more; smaller events enter the MLP beside the codes.
    `norm` is that of the event's tower, which has a `dense` hidden layer on 28x28 pixels as a DCGAN's discriminator,
    `dropout` the MLP's.
    """

    def __init__(
        self,
        spec: DataSpec,
        config: Layers,
        code_dims: Sequence[int],
        out_shape: tuple[int, ...] = (),
        norm: Callable[[int], nn.Module] | None = None,
        *,
        dense: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.event_tower: nn.Module = nn.Flatten()
        self.code_tower: nn.Module = nn.Identity()
        n_event, n_code = spec.n_dims, sum(code_dims)
        if _conv(spec, config):
            convolutions: Any = make_discriminator(spec, config, norm, dense=dense)
            self.event_tower = nn.Sequential(convolutions.body, nn.Flatten())
            n_event, width = convolutions.n_features, config.hidden[0]
            self.code_tower = nn.Sequential(nn.Linear(n_code, width), nn.LeakyReLU(0.2))
            n_code = width
        self.head = MLP(
            (n_event + n_code,), config.hidden, out_shape, activation=lambda: nn.LeakyReLU(0.2), dropout=dropout
        )

    def forward(self, x: Tensor, *codes: Tensor) -> Tensor:
        out: Tensor = self.head(torch.cat([self.event_tower(x), self.code_tower(torch.cat(codes, 1))], 1))
        return out
