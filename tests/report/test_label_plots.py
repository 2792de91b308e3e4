"""Plots of few labels hold what they are given: curves with intervals, confusion, samples beside mistakes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from ganbench.pictures.grids import confusion, mistakes
from ganbench.report.label_counts import Curve
from ganbench.report.label_plots import accuracy_over_labels


def pixels(png: bytes | Path) -> np.ndarray:
    with Image.open(io.BytesIO(png) if isinstance(png, bytes) else png) as opened:
        return np.asarray(opened.convert("RGB")).astype(int)


def test_a_curve_moves_with_its_values_and_only_with_them() -> None:
    def draw(top: float, last: float) -> bytes:
        rows = [Curve("d", "s", "a", {20: [0.3, 0.2, 0.1], 50: [top, top, top]})]
        return accuracy_over_labels([*rows, Curve("d", "s", "a, last weights", {20: [last]})], "t")

    assert draw(0.1, 0.5) == draw(0.1, 0.9)  # the last iterate is left out
    assert not np.array_equal(pixels(draw(0.1, 0.5)), pixels(draw(0.05, 0.5)))


def test_confusion_colours_wrong_answers_alone(tmp_path: Path) -> None:
    perfect, flawed = np.diag([50, 50, 50]), np.array([[50, 0, 0], [0, 40, 10], [0, 0, 50]])
    confusion(tmp_path / "a.png", perfect)
    confusion(tmp_path / "b.png", flawed)
    red = [((p[..., 0] - p[..., 1]) > 60).sum() for p in map(pixels, (tmp_path / "a.png", tmp_path / "b.png"))]
    assert red[0] == 0
    assert red[1] > 1000
    confusion(tmp_path / "c.png", np.ones((40, 40), int))  # many classes: without numbers


def test_mistakes_stand_beside_samples(tmp_path: Path) -> None:
    black, white = np.zeros((4, 1, 8, 8), np.uint8), np.full((4, 1, 8, 8), 255, np.uint8)
    mistakes(tmp_path / "both.png", black, white, np.arange(4), np.arange(4) + 1)
    both = pixels(tmp_path / "both.png")
    left, right = both[:, : both.shape[1] // 2], both[:, both.shape[1] // 2 :]
    assert (left.sum(2) == 0).mean() > 0.05
    assert (right.sum(2) == 0).mean() < 0.02
    mistakes(tmp_path / "one.png", None, np.zeros((2, 3, 8, 8), np.uint8), np.arange(2), np.arange(2))
    assert pixels(tmp_path / "one.png").shape[1] < both.shape[1]
