"""PredNet: layers that each predict what comes up from below, and pass on only where they were wrong.

Source      Lotter et al. 2017 (arXiv:1605.08104), equations 1 to 5 and algorithm 1; settings from the authors' code.
Departures  1. Errors are squared in the loss: the score is a squared error, and absolute ones ask for a median, which
            of sparse moving digits is a blank. 2. Extrapolation is trained from the start, where the authors fine-tune.
            3. Two layers of few channels. VPN (1610.00527) and Vondrick's features (1504.08023) are not built.
Shapes      B batch, T frames, S frames shown, (C, H, W) of a frame.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.model import (
    HORIZON,
    Batch,
    Count,
    DataSpec,
    Model,
    NonNegative,
    NotApplicable,
    Player,
    Positive,
    register,
)
from ganbench.nn.video import ConvLSTM, State


class PredNet(nn.Module):
    """Errors E, targets A, predictions and recurrent states R on each of L layers, the first at full resolution."""

    def __init__(self, n_in: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        targets = (n_in, *widths[:-1])  # channels of A_l; R_l has widths[l]
        above = (*widths[1:], 0)
        self.widths, self.targets = widths, targets
        self.cells = nn.ModuleList(ConvLSTM(2 * a + up, r) for a, r, up in zip(targets, widths, above, strict=True))
        self.predictions = nn.ModuleList(nn.Conv2d(r, a, 3, padding=1) for a, r in zip(targets, widths, strict=True))
        self.ups = nn.ModuleList(nn.Conv2d(2 * a, b, 3, padding=1) for a, b in pairwise(targets))

    def forward(self, frames: Tensor, total: int) -> tuple[Tensor, list[Tensor]]:
        """Predictions of frames 0 to total - 1, each made before the frame is seen, and squared errors of layers > 0.

        frames (B, S, C, H, W) in [0, 1] are shown in turn; after them the predictions are, in their place.
        """
        b, shown, _, h, w = frames.shape
        sides = [(h >> layer, w >> layer) for layer in range(len(self.widths))]
        errors = [frames.new_zeros(b, 2 * a, *s) for a, s in zip(self.targets, sides, strict=True)]
        states: list[State] = [
            (frames.new_zeros(b, r, *s), frames.new_zeros(b, r, *s)) for r, s in zip(self.widths, sides, strict=True)
        ]
        made, deeper = [], []
        for t in range(total):
            for layer in reversed(range(len(self.widths))):  # top down: equation 4
                x = errors[layer]
                if layer + 1 < len(self.widths):
                    x = torch.cat([x, F.interpolate(states[layer + 1][0], scale_factor=2.0)], 1)
                states[layer] = self.cells[layer](x, states[layer])
            for layer in range(len(self.widths)):  # bottom up: equations 1 to 3
                guess = self.predictions[layer](states[layer][0])
                guess = guess.clamp(0, 1) if layer == 0 and not self.training else F.relu(guess) if layer else guess
                if layer == 0:
                    made.append(guess)
                    target = frames[:, t] if t < shown else guess
                else:
                    target = F.max_pool2d(F.relu(self.ups[layer - 1](errors[layer - 1])), 2)
                    deeper.append((target - guess).square().mean())
                errors[layer] = torch.cat([F.relu(target - guess), F.relu(guess - target)], 1)
        return torch.stack(made, 1), deeper


@register("video_pred", family="sequential", paper="arXiv:1605.08104", gives=("predict",), events=("clip",))
class VideoPrediction(Model):
    class Config(Model.Config):
        batch_size: Count = 16  # the authors' is 4
        widths: tuple[Count, ...] = (16, 32)  # channels of R on each layer; the authors' are 3, 48, 96, 192
        deeper_weight: NonNegative = 0.0  # lambda_l of layers above the first: 0 is the paper's L0, 0.1 its L_all
        shown: Count = 5  # frames before those that are extrapolated in training; predictions are shown all there are
        lr: Positive = 2e-3  # Adam's; a tenth over the second half of the budget; the authors' 1e-3

    config: Config

    def build(self, spec: DataSpec) -> None:
        self.spec, factor = spec, 2 ** (len(self.config.widths) - 1)
        frames, channels, *sides = spec.event_shape
        if frames < HORIZON + 2:
            raise NotApplicable(
                f"video_pred is shown two frames at least, and predicts {HORIZON}; clips of {spec.name} have {frames}"
            )
        if any(side % factor for side in sides):
            raise NotApplicable(
                f"{len(self.config.widths)} layers take sides that are multiples of {factor}; got {sides}"
            )
        self.net = PredNet(channels, self.config.widths)

    def players(self) -> list[Player]:
        return [Player("predictor", self.net, self.loss, partial(torch.optim.Adam, lr=self.config.lr))]

    @property
    def schedule(self) -> Callable[[float], float]:
        """A tenth from half of the budget on."""
        return lambda share: 1.0 if share < 0.5 else 0.1

    def loss(self, batch: Batch) -> Tensor:  # equation 5: lambda_t is 0 at the first frame, and equal from then on
        x = (batch.x[:, -self.config.shown - HORIZON :] + 1) / 2
        made, deeper = self.net(x[:, :-HORIZON], x.shape[1])
        loss = (made[:, 1:] - x[:, 1:]).square().sum((2, 3, 4)).mean()
        return loss + self.config.deeper_weight * torch.stack(deeper).mean() if deeper else loss

    def predict(self, frames: Tensor, k: int, rng: torch.Generator) -> Tensor:
        made, _ = self.net((frames + 1) / 2, frames.shape[1] + k)
        future: Tensor = made[:, -k:].clamp(0, 1) * 2 - 1
        return future
