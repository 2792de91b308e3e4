"""What models of clips are made of: a convolutional LSTM.

Source      Shi et al. 2015 (arXiv:1506.04214) without peepholes; gates by Keras' hard sigmoid, as PredNet's code has.
Shapes      B batch, I channels in, R channels of the state, H, W height and width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]


class ConvLSTM(nn.Module):
    """One step: what comes in (B, I, H, W) and the state before, two of (B, R, H, W) -> the state after."""

    def __init__(self, n_in: int, n_state: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(n_in + n_state, 4 * n_state, 3, padding=1)
        with torch.no_grad():
            self.gates.bias[n_state : 2 * n_state] = 1.0  # type: ignore[index]  # remembers before it has learnt to

    def forward(self, x: Tensor, state: State) -> State:
        hidden, cell = state
        i, f, o, g = self.gates(torch.cat([x, hidden], 1)).chunk(4, 1)
        cell = hard_sigmoid(f) * cell + hard_sigmoid(i) * torch.tanh(g)
        return hard_sigmoid(o) * torch.tanh(cell), cell


def hard_sigmoid(x: Tensor) -> Tensor:
    """0.2 x + 0.5 between 0 and 1."""
    return (0.2 * x + 0.5).clamp(0, 1)
