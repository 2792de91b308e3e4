"""Pixels of PNG and JPEG pictures, as they are: nothing is resized unasked, turned or blended, and doubt is an error.

A header is read, and its sizes checked, before anything is decompressed.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganbench.datasets.base import check_size
from ganbench.datasets.layout import find_pictures, shown
from ganbench.errors import BadConfig, BadInput
from ganbench.files import open_plain

Crop = Literal["none", "centre"]
CHANNELS = {"1": 1, "L": 1, "RGB": 3, "P": 3}  # PIL's modes; a palette stands for colour
SLACK = 1 << 20  # bytes that a file may spend on more than its pixels, such as a colour profile
PNG_HEAD = 25  # bytes of a PNG file, the last of which says how many bits a channel has
TURNED = 0x0112  # the EXIF tag of a picture that lies on its side

Pixels = NDArray[np.uint8]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Framing:
    """How pictures of any size are brought to one: cut to the central square, if asked, then scaled to a square.

    Scaling is PIL's Lanczos filter on 8-bit values, antialiased; without a crop it does not keep the aspect.
    """

    resize: int | None = None  # side of the square in pixels; None: no scaling
    crop: Crop = "none"

    @classmethod
    def of(cls, options: dict[str, Any]) -> Framing | None:
        """The framing that options ask for, None for none. Raises `BadConfig`."""
        odd = sorted(set(options) - {"resize", "crop", "scorer"})
        if odd:
            raise BadConfig(f"a folder of pictures takes resize, crop and scorer; got {odd[0]}={options[odd[0]]}")
        side, crop = options.get("resize"), options.get("crop", "none")
        if side is not None and (type(side) is not int or not 2 <= side <= 4096):
            raise BadConfig(f"resize must be a side of 2 to 4096 pixels; got {side!r}")
        if crop not in get_args(Crop):
            raise BadConfig(f"crop must be one of {', '.join(get_args(Crop))}; got {crop!r}")
        return cls(side, crop) if side is not None or crop != "none" else None

    def shape(self, shape: Shape) -> Shape:
        """Of a picture (C, H, W) once framed."""
        c, h, w = shape
        h, w = (min(h, w),) * 2 if self.crop == "centre" else (h, w)
        return (c, h, w) if self.resize is None else (c, self.resize, self.resize)

    def apply(self, picture: Image.Image) -> Image.Image:
        """The picture, cut and scaled."""
        w, h = picture.size
        if self.crop == "centre":
            side = min(w, h)
            left, top = (w - side) // 2, (h - side) // 2
            picture = picture.crop((left, top, left + side, top + side))
        if self.resize is not None and picture.size != (self.resize, self.resize):
            picture = picture.resize((self.resize, self.resize), Image.Resampling.LANCZOS)
        return picture


def read_folder(root: Path, framing: Framing | None = None, seen: Callable[[int, int], None] | None = None) -> Pixels:
    """Every picture of a folder and its class folders, classes taking turns: -> (N, C, H, W). Raises `BadInput`."""
    return read_pictures(find_pictures(root).dealt(), root, framing=framing, seen=seen)


def read_pictures(
    paths: Sequence[Path],
    root: Path,
    wanted: tuple[str, Shape] | None = None,
    framing: Framing | None = None,
    seen: Callable[[int, int], None] | None = None,
) -> Pixels:
    """Pixels of all pictures, framed if asked: -> (N, C, H, W) uint8.

    All have the shape (C, H, W) of the first, or the one in `wanted`, which comes with the name of what has it.
    `seen` is told how many of how many have been read. Raises `BadInput` naming the first that differs, is damaged, or
    is not 8-bit grey or RGB.
    """
    whose, shape = wanted or ("", (0, 0, 0))
    out: Pixels = np.empty((0, *shape), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks about odd tags; what matters is an error below
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for row, path in enumerate(paths):
            label = shown(path.relative_to(root).as_posix())
            with open_plain(path) as file:
                head, size = file.read(PNG_HEAD), os.fstat(file.fileno()).st_size
                if not head:
                    raise BadInput(f"{label} is empty; remove it, or write it again")
                picture = _opened(file, label)
                own = _shape(picture, label, head)
                this = framing.shape(own) if framing else own
                if not whose:
                    whose, shape = label, this
                if this != shape:
                    look = f"{'grey' if shape[0] == 1 else 'RGB'}, {shape[2]} x {shape[1]} pixels"
                    cure = "" if framing or shape[0] != this[0] else "; --resize N brings a folder to one size"
                    raise BadInput(f"all pictures must be {look}; {whose} has {shape}, {label} has {this}{cure}")
                if row == 0:
                    check_size(len(paths) * math.prod(shape), root.name)
                    out = np.empty((len(paths), *shape), np.uint8)
                limit = 8 * math.prod(own) + SLACK
                if size > limit:
                    raise BadInput(f"{label} must be below {limit} bytes for a picture of {own}; got {size}")
                out[row] = _decode(picture, label, framing)
            if seen:
                seen(row + 1, len(paths))
    return out


def _opened(file: IO[bytes], label: str) -> Image.Image:
    """A picture whose header has been read. Raises `BadInput`."""
    file.seek(0)
    try:
        return Image.open(file, formats=("PNG", "JPEG"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        held = str(error).partition(",")[0]
        raise BadInput(f"{label} must be below {Image.MAX_IMAGE_PIXELS} pixels: {held}") from None
    except Exception as error:  # PIL raises a dozen kinds for damaged files
        raise _unreadable(label, error) from None


def _shape(picture: Image.Image, label: str, head: bytes) -> Shape:
    """(C, H, W) as the header has it. Raises `BadInput` for what is not an 8-bit grey or RGB picture."""
    deep = picture.format == "PNG" and head.endswith(b"\x10")  # PIL would drop the lower 8 bits of colours
    if deep or picture.mode not in CHANNELS or "transparency" in picture.info:
        mode = "16 bits a channel" if deep else f"mode {picture.mode}"
        more = " with transparency" if "transparency" in picture.info else ""
        raise BadInput(f"{label}: images must be 8-bit grey or RGB without alpha; got {mode}{more}; convert it")
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        raise BadInput(f"{label} must hold one picture; it holds {frames}; save one of them")
    return CHANNELS[picture.mode], picture.height, picture.width


def _decode(picture: Image.Image, label: str, framing: Framing | None) -> Pixels:
    """Pixels (C, H, W) of a picture whose header was checked."""
    grey = CHANNELS[picture.mode] == 1
    try:
        plain = picture.convert("L" if grey else "RGB")
        pixels = np.asarray(framing.apply(plain) if framing else plain)
        turned = picture.getexif().get(TURNED, 1) if picture.info else 1
    except Exception as error:
        raise _unreadable(label, error) from None
    if turned not in (0, 1):
        raise BadInput(
            f"{label}: its EXIF tag says that it is shown turned (orientation {turned!r:.20}); save it upright, as "
            "PIL.ImageOps.exif_transpose does"
        )
    return pixels[None] if grey else pixels.transpose(2, 0, 1)


def _unreadable(label: str, error: Exception) -> BadInput:
    return BadInput(f"{label} is not a readable .png or .jpg image: {type(error).__name__}; remove it")
