"""Pictures of samples: a grid of images, or points over the true density. Drawn without pyplot: no global state."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def tile(images: Array, columns: int | None = None, gap: int = 1) -> Array:
    """Images (N, C, H, W) uint8 side by side with a white gap: -> (rows, columns) grid as (H', W', C)."""
    n, c, h, w = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = np.full((rows * (h + gap) + gap, columns * (w + gap) + gap, c), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = gap + i // columns * (h + gap), gap + i % columns * (w + gap)
        sheet[top : top + h, left : left + w] = image.transpose(1, 2, 0)
    return sheet


def image_grid(path: Path, images: Array) -> None:
    """Write images (N, C, H, W) uint8 as one PNG, small ones magnified so that they can be seen."""
    from PIL import Image

    sheet = tile(images)
    factor = max(1, 512 // max(sheet.shape[:2]))
    sheet = sheet.repeat(factor, 0).repeat(factor, 1)
    channels = sheet.shape[2]
    pixels = sheet[:, :, 0] if channels not in (3, 4) else sheet[:, :, :3]
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, format="PNG")


def scatter(path: Path, points: Array, real: Array, density: Callable[[Array], Array] | None = None) -> None:
    """Write 2-D samples (N, 2) over the true log density, or over real points where the density is not known.

    The frame is that of the real data; points outside it are counted in the title.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    low, high = real.min(0), real.max(0)
    margin = 0.15 * (high - low).max()
    low, high = low - margin, high + margin
    figure = Figure(figsize=(4, 4), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.92))
    extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    if density is not None:
        xs, ys = (np.linspace(low[i], high[i], 160) for i in (0, 1))
        grid = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2).astype(np.float32)
        log_p = density(grid).reshape(160, 160)
        top = log_p.max()
        axes.imshow(np.clip(log_p, top - 12, top), extent=extent, origin="lower", cmap="Blues", aspect="auto")
    else:
        axes.plot(real[:, 0], real[:, 1], ".", color="#9ecae1", markersize=3)
    axes.plot(points[:, 0], points[:, 1], ".", color="#d62728", markersize=2, alpha=0.6)
    axes.set(xlim=extent[:2], ylim=extent[2:], xticks=[], yticks=[])
    outside = int(((points < low) | (points > high)).any(1).sum())
    axes.set_title(f"{len(points)} samples, {outside} outside the frame", fontsize=9)
    figure.savefig(path)
