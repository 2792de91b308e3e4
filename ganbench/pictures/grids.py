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


def image_grid(path: Path, images: Array, columns: int | None = None) -> None:
    """Write images (N, C, H, W) uint8 as one PNG, small ones magnified so that they can be seen."""
    from PIL import Image

    sheet = tile(images, columns)
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


def confusion(path: Path, table: Array) -> None:
    """Write a confusion matrix (K, K) of counts, rows true and columns predicted; wrong answers coloured by share."""
    k = len(table)
    figure = blank(max(3.0, 0.36 * k + 0.6), max(3.0, 0.36 * k + 0.6))
    axes = figure.add_axes((0.14, 0.12, 0.82, 0.8))
    wrong = table / np.maximum(table.sum(1, keepdims=True), 1)
    wrong[np.arange(k), np.arange(k)] = 0
    axes.imshow(wrong, cmap="Reds", vmin=0, vmax=max(0.01, wrong.max()))
    if k <= 12:
        for i, j in np.argwhere(table):
            colour = "white" if wrong[i, j] > 0.6 * wrong.max() > 0 else "#444444" if i == j else "black"
            axes.text(j, i, str(table[i, j]), ha="center", va="center", fontsize=7, color=colour)
        axes.set(xticks=range(k), yticks=range(k))
    axes.set_xlabel("predicted", fontsize=8)
    axes.set_ylabel("true", fontsize=8)
    axes.tick_params(labelsize=7, length=0)
    total, off = int(table.sum()), int(table.sum() - np.trace(table))
    axes.set_title(f"{off} of {total} wrong", fontsize=9)
    figure.savefig(path)


def mistakes(path: Path, samples: Array | None, wrong: Array, truth: Array, predicted: Array, columns: int = 6) -> None:
    """Write generated images beside misclassified ones, (N, C, H, W) uint8 each, with true and predicted classes.

    `samples` is None for a classifier that generates nothing.
    """
    panels = [p for p in (samples, wrong) if p is not None]
    figure = blank(3.4 * len(panels), 3.9)
    share = 1 / len(panels)
    cell = 1 / columns
    for number, images in enumerate(panels):
        mine = images is wrong
        title = "misclassified test images: true → predicted" if mine else "samples"
        figure.text((number + 0.5) * share, 0.985, title, ha="center", va="top", fontsize=9)
        for i, image in enumerate(images[: columns * columns]):
            left = number * share + share * (0.03 + 0.94 * cell * (i % columns))
            bottom = 0.93 * (1 - cell * (i // columns + 1))
            axes = figure.add_axes((left, bottom + 0.004, 0.9 * 0.94 * cell * share, 0.93 * cell * 0.78))
            grey = image.shape[0] == 1
            picture = image[0] if grey else image[:3].transpose(1, 2, 0)
            axes.imshow(picture, cmap="gray" if grey else None, vmin=0, vmax=255)
            axes.set_axis_off()
            if mine:
                axes.set_title(f"{truth[i]} → {predicted[i]}", fontsize=7, pad=1)
    figure.savefig(path)


def captioned(path: Path, texts: list[str], images: Array) -> None:
    """Write a caption above each row of images (R, N, C, H, W) uint8."""
    rows, columns = images.shape[:2]
    figure = blank(0.75 * columns, 1.0 * rows)
    for i, (text, row) in enumerate(zip(texts, images, strict=True)):
        top = 1 - i / rows
        figure.text(0.5, top - 0.02 / rows, text, ha="center", va="top", fontsize=7)
        for j, image in enumerate(row):
            axes = figure.add_axes((j / columns, top - 0.98 / rows, 0.96 / columns, 0.76 / rows))
            grey = image.shape[0] == 1
            picture = image[0] if grey else image[:3].transpose(1, 2, 0)
            axes.imshow(picture, cmap="gray" if grey else None, vmin=0, vmax=255)
            axes.set_axis_off()
    figure.savefig(path)


def blank(width: float, height: float) -> Any:
    """A figure of that size in inches, without pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120)
    FigureCanvasAgg(figure)
    return figure
