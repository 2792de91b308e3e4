"""Formulas as pictures inside a page: TeX becomes SVG paths in the colour of the text, and nothing is fetched."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SIZE = 17.0  # points of the letters
PAD = 2.0  # points around a formula, for strokes that reach beyond its box


@cache
def equations() -> dict[str, list[str]]:
    """Model -> the TeX lines of its paper's objective; controls have none."""
    found = tomllib.loads((HERE / "equations.toml").read_text(encoding="utf-8"))
    return {name: list(found[told.get("like", name)]["lines"]) for name, told in found.items()}


@cache
def of_metrics() -> dict[str, dict[str, Any]]:
    """Metric -> {"formula": TeX lines, "notices": words}."""
    return tomllib.loads((HERE / "metrics.toml").read_text(encoding="utf-8"))


@cache
def svg(tex: str) -> str:
    """One line of TeX as an SVG element that a screen reader reads as its source. Raises `ValueError` for bad TeX."""
    import matplotlib
    from markupsafe import escape
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser
    from matplotlib.textpath import TextPath

    with matplotlib.rc_context({"mathtext.fontset": "cm"}):
        font = FontProperties(size=SIZE)
        path = TextPath((0, 0), f"${tex}$", prop=font)
        width, height, depth, *_ = MathTextParser("path").parse(f"${tex}$", dpi=72, prop=font)
    parts = []
    for points, code in path.iter_segments(simplify=False, curves=True):
        pairs = [f"{x:.2f} {-y:.2f}" for x, y in zip(points[::2], points[1::2], strict=True)]
        parts.append("Z" if code == 79 else {1: "M", 2: "L", 3: "Q", 4: "C"}[int(code)] + " ".join(pairs))
    width, up, down = float(width) + 2 * PAD, float(height) + PAD, float(depth) + PAD
    box = f"{-PAD:g} {-up:.2f} {width:.2f} {up + down:.2f}"
    size = f'width="{width:.2f}" height="{up + down:.2f}"'
    label = f'role="img" aria-label="{escape(tex)}"'
    return f'<svg class="formula" {label} viewBox="{box}" {size}><path d="{"".join(parts)}"/></svg>'
