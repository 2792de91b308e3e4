"""Gated PixelCNN: each pixel's distribution given all before it, by masked convolutions; the likelihood is exact.

Source      van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders", section 2: gated units
            (equation 2), a vertical stack without blind spot and a horizontal one with residuals (Figure 2).
Departures  1. Pixels are quantised to `n_levels` even values (17 keeps the 8x8 digits as they are; 256 in the paper),
               to the nearest or by a draw whose mean is the pixel; `log_prob` is that of the quantised image.
            2. Small: 7 layers of 32 features, on events below 100 numbers 3 of 16, instead of 15 of 128. Unconditional.
               Adam instead of RMSProp.
Shapes      B batch, C channels, H, W pixels, L levels, F width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.bases.pixels import PixelModel
from ganbench.model import Count, Defaults, register
from ganbench.nn.masked import LeftConv, head_at, shift_down


def gate(x: Tensor) -> Tensor:
    """tanh of one half of the channels times sigmoid of the other: (B, 2 F, ...) -> (B, F, ...)."""
    a, b = x.chunk(2, 1)
    return torch.tanh(a) * torch.sigmoid(b)


class GatedLayer(nn.Module):
    """One step of both stacks: v looks at its row and above, h at what v knows of the rows above and to its left."""

    def __init__(self, n_in: int, width: int, size: int, channels: int, first: bool) -> None:
        super().__init__()
        self.reach, self.residual = size // 2, not first
        self.vertical = nn.Conv2d(n_in, 2 * width, (self.reach + 1, size))
        self.link = nn.Conv2d(2 * width, 2 * width, 1)
        self.horizontal = LeftConv(n_in, 2 * width, self.reach + 1, groups=channels, strict=first, parts=2)
        self.mix = LeftConv(width, width, 1, groups=channels)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        r = self.reach
        v = self.vertical(F.pad(v, (r, r, r, 0)))
        out = self.mix(gate(self.horizontal(h) + shift_down(self.link(v))))
        return gate(v), out + h if self.residual else out

    def row(self, above: Tensor) -> tuple[Tensor, Tensor]:
        """v's next row and what the row below links to: (B, I, reach + 1, W) -> (B, F, W), (B, 2 F, W)."""
        v = self.vertical(F.pad(above, (self.reach, self.reach)))
        return gate(v)[:, :, 0], self.link(v)[:, :, 0]

    def pixel(self, row: Tensor, link: Tensor, j: int) -> Tensor:
        """h at pixel j: (B, I, W), (B, 2 F, W) -> (B, F)."""
        out = self.mix.at(gate(self.horizontal.pixel(row, j) + link[:, :, j]))
        return out + row[:, :, j] if self.residual else out


class PixelStack(nn.Module):
    """Images to the logits of every pixel, all at once or one by one: (B, C, H, W) -> (B, C, L, H, W)."""

    layers: Any  # modules that also run pixel by pixel

    def __init__(self, channels: int, width: int, n_layers: int, size: int, n_levels: int) -> None:
        super().__init__()
        first = GatedLayer(channels, width, size, channels, first=True)
        rest = [GatedLayer(width, width, 3, channels, first=False) for _ in range(n_layers - 1)]
        self.layers = nn.ModuleList([first, *rest])
        out = LeftConv(width, channels * n_levels, 1, groups=channels)
        self.head = nn.Sequential(nn.ReLU(), LeftConv(width, width, 1, groups=channels), nn.ReLU(), out)
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        v = h = x
        for layer in self.layers:
            v, h = layer(v, h)
        return self.head(h).unflatten(1, (self.channels, -1))

    def start(self, x: Tensor) -> None:
        b, _, _, w = x.shape
        sizes = [layer.vertical.in_channels for layer in self.layers]
        self.above = [x.new_zeros(b, s, g.reach + 1, w) for s, g in zip(sizes, self.layers, strict=True)]
        self.links = [x.new_zeros(b, g.link.out_channels, w) for g in self.layers]
        self.rows = [x.new_zeros(b, s, w) for s in sizes]  # h's inputs in the current row, layer by layer

    def pixel(self, x: Tensor, i: int, j: int) -> Tensor:
        self.rows[0] = x[:, :, i]
        for k, layer in enumerate(self.layers):
            h = layer.pixel(self.rows[k], self.links[k], j)
            if k + 1 < len(self.layers):
                self.rows[k + 1][:, :, j] = h
        return head_at(self.head, h).unflatten(1, (self.channels, -1))

    def end_row(self, x: Tensor, i: int) -> None:
        v = x[:, :, i]
        for k, layer in enumerate(self.layers):
            self.above[k] = torch.cat([self.above[k][:, :, 1:], v[:, :, None]], 2)
            v, self.links[k] = layer.row(self.above[k])


@register(
    "pixelcnn",
    family="autoregressive",
    paper="arXiv:1606.05328",
    gives=("sample", "log_prob", "inpaint"),
    events=("image",),
    version=2,
)
class PixelCNN(PixelModel):
    class Config(PixelModel.Config):
        n_layers: Count = 3
        first_size: Count = 7  # of the first layer's square of pixels; later ones see 3

    config: Config
    defaults = Defaults(image={"n_layers": 7, "width": 32}, small={"n_layers": 3, "width": 16})

    def network(self, channels: int) -> PixelStack:
        c = self.config
        return PixelStack(channels, c.width, c.n_layers, c.first_size, c.n_levels)
