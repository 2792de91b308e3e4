"""Pictures show what they are given, at a size that can be seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganbench.pictures import grids


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_lies_in_its_place(tmp_path: Path, channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, channels, 4, 3), dtype=np.uint8)
    sheet = grids.tile(images, columns=3)
    assert sheet.shape == (2 * 5 + 1, 3 * 4 + 1, channels)
    np.testing.assert_array_equal(sheet[6:10, 5:8], images[4].transpose(1, 2, 0))
    assert (sheet[0] == 255).all()
    grids.image_grid(tmp_path / "x.png", images)
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.mode == ("L" if channels == 1 else "RGB")
        assert max(picture.size) >= 256


def test_scatter_draws_points_and_density(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    real, fake = draw.normal(size=(200, 2)), draw.normal(size=(100, 2)) * 3
    grids.scatter(tmp_path / "a.png", fake, real)
    grids.scatter(tmp_path / "b.png", fake, real, lambda points: -0.5 * (points**2).sum(1))
    with Image.open(tmp_path / "a.png") as plain, Image.open(tmp_path / "b.png") as dense:
        assert plain.size == dense.size == (400, 400)
        for picture in (plain, dense):
            pixels = np.asarray(picture.convert("RGB")).astype(int)
            assert ((pixels[..., 0] > 180) & (pixels[..., 2] < 120)).any()  # red points
