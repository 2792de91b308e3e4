"""Clips of digits that move straight on and bounce off the walls, with the exact simulator that made them.

Source      Srivastava et al. 2015 (arXiv:1502.04681), smaller: their frames are 64x64, and their digits 28x28.
Shapes      N clips, T frames, G digits in a clip, g side of a digit, S side of a frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench import seeding
from ganbench.data import Split
from ganbench.datasets.base import Dataset, Source, assemble, dataset
from ganbench.datasets.digits import digits
from ganbench.datasets.images import idx_dataset

VERSION = 1
FRAMES = 15


@dataclass(frozen=True)
class Simulator:
    """Where every digit of N clips starts and how it moves; what is drawn from that is exact at any time."""

    glyphs: Tensor  # (N, G, g, g) in [0, 1]; a digit that is not there is blank
    start: Tensor  # (N, G, 2) row and column of the upper left corner, float64
    velocity: Tensor  # (N, G, 2) pixels a frame, float64
    side: int

    def frames(self, first: int, count: int) -> Tensor:
        """Frames first, first + 1, ... of every clip: -> (N, count, 1, S, S) uint8."""
        room = self.side - self.glyphs.shape[-1]
        times = torch.arange(first, first + count, dtype=torch.float64)
        place = self.start[:, None] + times.view(1, -1, 1, 1) * self.velocity[:, None]  # (N, T, G, 2)
        place = room - (place.remainder(2 * room) - room).abs()  # reflections unfolded: a triangle wave
        frames = torch.zeros(len(self.start), count, self.side, self.side, dtype=torch.float64)
        for digit in range(self.glyphs.shape[1]):
            drawn = placed(self.glyphs[:, digit].double(), place[:, :, digit], self.side)
            frames = torch.maximum(frames, drawn)
        return frames.mul(255).round().to(torch.uint8).unsqueeze(2)

    def after(self, frames: Tensor, k: int) -> Tensor:
        """The k frames that follow clips (B, S, 1, H, W) in [-1, 1], found among the N by what they show, in [-1, 1].

        Raises `KeyError` for a clip that is none of them.
        """
        shown = frames.shape[1]
        known = {x.numpy().tobytes(): row for row, x in enumerate(self.frames(0, shown))}
        seen = frames.cpu().add(1).mul(127.5).round().to(torch.uint8)
        rows = torch.tensor([known[x.numpy().tobytes()] for x in seen])
        future = Simulator(self.glyphs[rows], self.start[rows], self.velocity[rows], self.side).frames(shown, k)
        return future.float().div(127.5).sub(1).to(frames.device)


def placed(glyphs: Tensor, place: Tensor, side: int) -> Tensor:
    """Digits at places that need not be whole, by bilinear weights: (N, g, g), (N, T, 2) -> (N, T, S, S)."""
    pixel, own = torch.arange(side)[:, None], torch.arange(glyphs.shape[-1])
    rows, columns = (
        (1 - (pixel - own - place[:, :, i, None, None]).abs()).clamp(min=0) for i in (0, 1)
    )  # (N, T, S, g): what each pixel has of each row or column of the digit
    return rows @ glyphs[:, None] @ columns.mT


@dataset("moving_digits", event="clip", iterations={"smoke": 10, "quick": 100, "standard": 400}, builtin=True)
def moving_digits(source: Source) -> Dataset:
    """15 frames of 16x16 in which one 8x8 digit moves by up to 1.5 pixels a frame; its last 5 are to be predicted."""
    return moving("moving_digits", digits(source), sizes=(4000, 500, 500), side=16, fastest=1.5, most=1)


@dataset("moving_mnist", event="clip", iterations={"smoke": 5, "quick": 50, "standard": 400})
def moving_mnist(source: Source) -> Dataset:
    """15 frames of 32x32 in which one or two MNIST digits of 14x14 move by up to 2.5 pixels a frame."""
    plain = idx_dataset("moving_mnist", "MNIST", source)
    return moving("moving_mnist", plain, sizes=(4000, 500, 500), side=32, fastest=2.5, most=2)


def moving(name: str, plain: Dataset, sizes: tuple[int, int, int], side: int, fastest: float, most: int) -> Dataset:
    """Clips of the digits of another data set; the digits of one split are in no other."""
    made = {
        part: simulated(name, part, getattr(plain, part), n, side, fastest, most)
        for part, n in zip(("train", "holdout", "test"), sizes, strict=True)
    }
    train, holdout, test = (Split(s.frames(0, FRAMES)) for s in made.values())
    return assemble(name, train, holdout, test, domain=(-1, 1), simulator=made["test"], version=VERSION)


def simulated(name: str, part: str, plain: Split, n: int, side: int, fastest: float, most: int) -> Simulator:
    """n clips of one digit up to `most`, at any place, in any direction, at half of the fastest speed or more.

    Every second clip moves by whole pixels, so that interpolation has no part in it.
    """
    rng = seeding.stream("data", name, f"v{VERSION}", part)
    x = (plain.events(torch.randint(len(plain), (n * most,), generator=rng)) + 1) / 2  # (n G, 1, h, h)
    x = F.avg_pool2d(x, 2) if x.shape[-1] == 28 else x
    g = x.shape[-1]
    count = torch.randint(1, most + 1, (n, 1), generator=rng)
    glyphs = x.view(n, most, g, g) * (torch.arange(most) < count).view(n, most, 1, 1)
    start = torch.rand(n, most, 2, generator=rng, dtype=torch.float64) * (side - g)
    angle = torch.rand(n, most, generator=rng, dtype=torch.float64) * 2 * math.pi
    speed = fastest * (0.5 + 0.5 * torch.rand(n, most, generator=rng, dtype=torch.float64))
    velocity = torch.stack([speed * angle.sin(), speed * angle.cos()], 2)
    whole = (torch.arange(n) % 2 == 0).view(n, 1, 1)
    return Simulator(
        glyphs, torch.where(whole, start.floor(), start), torch.where(whole, velocity.round(), velocity), side
    )
