"""What a frozen network hands to a simple classifier: the activations of its hidden layers, maps pooled to a grid.

Source      Radford et al. 2016, section 5.1 (all convolutional layers of the discriminator, max-pooled to 4x4,
            flattened, an L2-SVM); Dumoulin et al. 2017, section 3.3 (the last three hidden layers and the output).
Shapes      B batch, F features in all.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GRID = 4


def hidden_layers(body: nn.Sequential, x: Tensor) -> list[Tensor]:
    """Activations after every nonlinearity of a stack of layers, from the input on."""
    found = []
    for layer in body:
        x = layer(x)
        if isinstance(layer, nn.ReLU | nn.LeakyReLU | nn.Softplus | nn.Tanh | nn.ELU):
            found.append(x)
    return found


def pooled(layers: Sequence[Tensor], grid: int = GRID) -> Tensor:
    """Layers side by side, maps larger than the grid max-pooled to it: (B, C, H, W) or (B, D) each -> (B, F)."""
    flat = []
    for layer in layers:
        if layer.ndim == 4:
            layer = F.adaptive_max_pool2d(layer, (min(grid, layer.shape[2]), min(grid, layer.shape[3])))
        flat.append(layer.flatten(1))
    return torch.cat(flat, 1)
