"""PixelRNN: recurrent layers that sweep an image row by row or along its diagonals; the likelihood is exact.

Source      van den Oord, Kalchbrenner & Kavukcuoglu 2016, "Pixel Recurrent Neural Networks", section 3.1 (Row LSTM,
            equation 3), 3.2 (Diagonal BiLSTM, Figure 3), 3.3 (residuals), 3.4 (masks), 3.5 (softmax over levels).
Departures  1. Pixels are quantised to `n_levels` even values (17 keeps the 8x8 digits as they are; 256 in the paper),
               to the nearest or by a draw whose mean is the pixel; `log_prob` is that of the quantised image.
            2. Layers as on the paper's MNIST, 7 of 16 features, but one on events below 100 numbers. States are as wide
               as layers' inputs, in the paper half as wide. Adam instead of RMSProp.
Shapes      B batch, C channels, H, W pixels, L levels, F width.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from ganbench.bases.pixels import PixelModel
from ganbench.model import Count, Defaults, register
from ganbench.nn.masked import LeftConv, head_at, shift_down


def cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One LSTM step from summed gates: (B, 4 F, ...), (B, F, ...) -> state h and memory c (B, F, ...)."""
    output, forget, keep, content = gates.chunk(4, 1)
    c = torch.sigmoid(forget) * c + torch.sigmoid(keep) * torch.tanh(content)
    return torch.sigmoid(output) * torch.tanh(c), c


class RowLSTM(nn.Module):
    """A state per pixel from three states of the row above and the input to its left."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.input = LeftConv(width, 4 * width, 2, groups=channels, parts=4)
        self.state = nn.Conv1d(width, 4 * width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        gates, h, c = self.input(x), torch.zeros_like(x[:, :, 0]), torch.zeros_like(x[:, :, 0])
        rows = []
        for i in range(x.shape[2]):
            h, c = cell(gates[:, :, i] + self.state(h), c)
            rows.append(h)
        return torch.stack(rows, 2)

    def start(self, row: Tensor) -> None:
        self.h, self.c = torch.zeros_like(row), torch.zeros_like(row)  # of the row in progress
        self.above, self.c_above = self.state(self.h), torch.zeros_like(row)

    def pixel(self, row: Tensor, j: int) -> Tensor:
        gates = self.input.pixel(row, j) + self.above[:, :, j]
        self.h[:, :, j], self.c[:, :, j] = cell(gates, self.c_above[:, :, j])
        return self.h[:, :, j]

    def end_row(self, row: Tensor) -> None:
        self.above, self.c_above = self.state(self.h), self.c.clone()


class DiagonalLSTM(nn.Module):
    """A state per pixel from those of its left and its upper neighbour, swept along diagonals."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.input = LeftConv(width, 4 * width, 1, groups=channels, parts=4)
        self.left = nn.Conv1d(width, 4 * width, 1, bias=False)  # no biases: states beyond the image stay zero
        self.up = nn.Conv1d(width, 4 * width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        gates = self.input(x)
        # Skewed, row i starts i columns later, so that a diagonal of the image is a column.
        skewed = torch.stack([F.pad(gates[:, :, i], (i, height - 1 - i)) for i in range(height)], 2)
        h, c, columns = torch.zeros_like(x[..., 0]), torch.zeros_like(x[..., 0]), []
        for t in range(width + height - 1):
            h, c = cell(skewed[..., t] + self.left(h) + self.up(F.pad(h, (1, 0))[:, :, :-1]), c)
            columns.append(h)
        out = torch.stack(columns, 3)
        return torch.stack([out[:, :, i, i : i + width] for i in range(height)], 2)

    def start(self, row: Tensor) -> None:
        self.h, self.c, self.above = torch.zeros_like(row), torch.zeros_like(row), torch.zeros_like(row)

    def pixel(self, row: Tensor, j: int) -> Tensor:
        zero = torch.zeros_like(row[:, :, 0])
        h, c = (self.h[:, :, j - 1], self.c[:, :, j - 1]) if j else (zero, zero)
        states = self.left(h[..., None]) + self.up(self.above[:, :, j : j + 1])
        gates = self.input.at(row[:, :, j]) + states[..., 0]
        self.h[:, :, j], self.c[:, :, j] = cell(gates, c)
        return self.h[:, :, j]

    def end_row(self, row: Tensor) -> None:
        self.above = self.h.clone()


class DiagonalBiLSTM(nn.Module):
    """Both diagonals; the one from the right is moved down a row, so that it knows nothing of the pixels to come."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.forth, self.back = DiagonalLSTM(width, channels), DiagonalLSTM(width, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.forth(x) + shift_down(self.back(x.flip(3)).flip(3))

    def start(self, row: Tensor) -> None:
        self.forth.start(row)
        self.back.start(row)
        self.from_right = torch.zeros_like(row)

    def pixel(self, row: Tensor, j: int) -> Tensor:
        return self.forth.pixel(row, j) + self.from_right[:, :, j]

    def end_row(self, row: Tensor) -> None:
        self.forth.end_row(row)
        for j in range(row.shape[2]):
            self.back.pixel(row.flip(2), j)
        self.back.end_row(row)
        self.from_right = self.back.h.flip(2)


class RecurrentStack(nn.Module):
    """Images to the logits of every pixel, all at once or one by one: (B, C, H, W) -> (B, C, L, H, W)."""

    layers: Any  # modules that also run pixel by pixel
    mixes: Any

    def __init__(self, channels: int, width: int, n_layers: int, size: int, n_levels: int, kind: str) -> None:
        super().__init__()
        self.channels, self.reach = channels, size // 2
        # A size x size convolution with mask A, in its two parts: rows above, and the row itself to the left.
        self.above = nn.Conv2d(channels, width, (self.reach, size))
        self.beside = LeftConv(channels, width, self.reach + 1, groups=channels, strict=True)
        layer = RowLSTM if kind == "row" else DiagonalBiLSTM
        self.layers = nn.ModuleList(layer(width, channels) for _ in range(n_layers))
        self.mixes = nn.ModuleList(LeftConv(width, width, 1, groups=channels) for _ in range(n_layers))
        out = LeftConv(width, channels * n_levels, 1, groups=channels)
        self.head = nn.Sequential(nn.ReLU(), LeftConv(width, width, 1, groups=channels), nn.ReLU(), out)

    def forward(self, x: Tensor) -> Tensor:
        r = self.reach
        h = self.above(F.pad(x, (r, r, r, 0))[:, :, :-1]) + self.beside(x)
        for layer, mix in zip(self.layers, self.mixes, strict=True):
            h = h + mix(layer(h))
        return self.head(h).unflatten(1, (self.channels, -1))

    def start(self, x: Tensor) -> None:
        self.padded = F.pad(x, (self.reach, self.reach, self.reach, 0))
        rows = x.new_zeros(len(x), len(self.layers), self.above.out_channels, x.shape[3])
        self.rows = list(rows.unbind(1))  # inputs of the layers in the current row
        self.seen = self.above(torch.zeros_like(self.padded[:, :, : self.reach]))[:, :, 0]
        for layer, row in zip(self.layers, self.rows, strict=True):
            layer.start(row)

    def pixel(self, x: Tensor, i: int, j: int) -> Tensor:
        h = self.seen[:, :, j] + self.beside.pixel(x[:, :, i], j)
        for k, (layer, mix) in enumerate(zip(self.layers, self.mixes, strict=True)):
            self.rows[k][:, :, j] = h
            h = h + mix.at(layer.pixel(self.rows[k], j))
        return head_at(self.head, h).unflatten(1, (self.channels, -1))

    def end_row(self, x: Tensor, i: int) -> None:
        r = self.reach
        self.padded[:, :, i + r, r : r + x.shape[3]] = x[:, :, i]
        self.seen = self.above(self.padded[:, :, i + 1 : i + 1 + r])[:, :, 0]
        for layer, row in zip(self.layers, self.rows, strict=True):
            layer.end_row(row)


@register(
    "pixelrnn",
    family="autoregressive",
    paper="arXiv:1601.06759",
    gives=("sample", "log_prob", "inpaint"),
    events=("image",),
    version=2,
)
class PixelRNN(PixelModel):
    class Config(PixelModel.Config):
        layer: Literal["row", "diagonal"] = "row"  # Row LSTM or Diagonal BiLSTM
        n_layers: Count = 1
        first_size: Annotated[int, Ge(3)] = 7  # of the first layer's square of pixels

    config: Config
    defaults = Defaults(image={"n_layers": 7}, small={"n_layers": 1})

    def network(self, channels: int) -> RecurrentStack:
        c = self.config
        return RecurrentStack(channels, c.width, c.n_layers, c.first_size, c.n_levels, c.layer)
