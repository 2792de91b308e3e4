"""Clips of moving digits: the simulator is exact, bounces are reflections, and what it knows predicts the future."""

from __future__ import annotations

import pytest
import torch

from baselines.controls.control_phase_correlation import moved_by, shifts
from ganbench.data import HORIZON, DataSpec, Split
from ganbench.datasets.load import load
from ganbench.datasets.moving import FRAMES, Simulator, placed
from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.frames import frames
from ganbench.model.make import make

F64 = torch.float64


@pytest.fixture(scope="module")
def digits():
    return load("moving_digits")


def one(start: tuple[float, float], velocity: tuple[float, float], side: int = 8) -> Simulator:
    glyph = torch.tensor([[0.2, 0.4], [0.6, 1.0]]).view(1, 1, 2, 2)
    return Simulator(
        glyph, torch.tensor(start, dtype=F64).view(1, 1, 2), torch.tensor(velocity).double().view(1, 1, 2), side
    )


def centre(clip: torch.Tensor) -> torch.Tensor:
    """Centre of mass of each frame: (T, 1, H, W) -> (T, 2)."""
    x = clip[:, 0].double()
    along = torch.arange(x.shape[-1]).double()
    return torch.stack([(x.sum(2) * along).sum(1), (x.sum(1) * along).sum(1)], 1) / x.sum((1, 2))[:, None]


def test_digits_move_straight_on_until_a_wall_turns_them_round() -> None:
    """By whole pixels from (1, 2): down to row 6, where a digit of 2 in a frame of 8 touches, and back."""
    place = centre(one((1, 2), (2, 1)).frames(0, 8)[0])
    first = place - place[0]
    assert torch.allclose(first[:, 0], torch.tensor([0, 2, 4, 4, 2, 0, 0, 2]).double(), atol=1e-6)  # 1 3 5 5 3 1 1 3
    assert torch.allclose(first[:, 1], torch.tensor([0, 1, 2, 3, 4, 3, 2, 1]).double(), atol=1e-6)  # 2 3 4 5 6 5 4 3


def test_a_part_of_a_pixel_is_spread_by_bilinear_weights() -> None:
    glyph = torch.ones(1, 1, 1, dtype=F64)
    frame = placed(glyph, torch.tensor([[[1.25, 2.5]]], dtype=F64), 5)[0, 0]
    expected = torch.zeros(5, 5, dtype=F64)
    expected[1:3, 2:4] = torch.tensor([[0.375, 0.375], [0.125, 0.125]])
    assert torch.equal(frame, expected)


def test_ink_is_kept_wherever_a_digit_is() -> None:
    clip = one((0.3, 4.7), (0.77, -1.31)).frames(0, 40)[0]
    ink = clip.double().sum((1, 2, 3)) / 255
    assert torch.allclose(ink, torch.full((40,), 2.2).double(), atol=9 * 0.5 / 255)  # nine pixels, half a level each


def test_the_simulator_goes_on_where_the_clips_end(digits) -> None:
    clips = digits.test.events(slice(0, 40))
    future = digits.simulator.after(clips[:, :-HORIZON], HORIZON)
    assert torch.equal(future, clips[:, -HORIZON:])
    assert tuple(digits.spec.event_shape) == (FRAMES, 1, 16, 16)


def test_a_split_keeps_its_simulator_wherever_it_goes(digits) -> None:
    split = Split(digits.test.x[:2], simulator=digits.simulator).to(torch.device("cpu"))
    assert split.simulator is digits.simulator


def test_clips_are_bytes_from_black_on(digits) -> None:
    assert digits.train.x.dtype == torch.uint8
    assert float(digits.train.events(slice(0, 100)).min()) == -1


@pytest.mark.parametrize(("row", "column"), [(2.0, -1.0), (0.5, 1.25), (0.0, 0.0)])
def test_phase_correlation_finds_a_shift(row: float, column: float) -> None:
    """To a tenth of a pixel for whole shifts, a third for parts, which bilinear drawing blurs."""
    x = torch.zeros(1, 1, 20, 20)
    x[0, 0, 7:13, 6:12] = torch.rand(6, 6, generator=torch.Generator().manual_seed(0))
    moved = moved_by(x, torch.tensor([[row, column]]))
    found = shifts(x[:, 0], moved[:, 0])[0]
    assert torch.allclose(found, torch.tensor([row, column]), atol=0.1 if row == int(row) else 0.35)


def test_errors_of_frames_are_sums_over_pixels() -> None:
    """One pixel wrong by the whole range is an error of 1; the truth has error 0 and similarity 1."""
    truth = -torch.ones(4, HORIZON, 1, 8, 8)
    truth[:, :, 0, 2:5, 2:5] = 1
    wrong = truth.clone()
    wrong[:, 1, 0, 0, 0] = 1
    scores = {s.name: s for s in frames(predicted=wrong, future=truth)}
    assert [scores[f"frame_sse_{k}"].value for k in range(1, 6)] == [0, 1, 0, 0, 0]
    assert scores["frame_ssim_1"].value == pytest.approx(1)
    assert scores["frame_ssim_2"].value < 1
    assert scores["frame_sse_2"].se == 0
    with pytest.raises(BadInput, match="same clips"):
        frames(predicted=wrong[:2], future=truth)


def test_floors_are_what_they_say(digits) -> None:
    clips = digits.test.events(slice(0, 50))
    seen, rng = clips[:, :-HORIZON], torch.Generator()
    for name, expected in (
        ("control_blank", torch.full_like(clips[:, -HORIZON:], -1)),
        ("control_copy_last", seen[:, -1:].expand(-1, HORIZON, -1, -1, -1)),
    ):
        model = make(name, digits.spec)
        assert torch.equal(model.predict(seen, HORIZON, rng), expected)


@pytest.mark.parametrize("name", ["video_pred"])
def test_clips_shorter_than_the_horizon_are_refused_when_built(name: str) -> None:
    with pytest.raises(NotApplicable, match="clips of short have 6"):
        make(name, DataSpec("short", (6, 1, 8, 8), (-1.0, 1.0)))
    with pytest.raises(NotApplicable, match="multiples of 2"):
        make(name, DataSpec("odd", (15, 1, 9, 9), (-1.0, 1.0)))
