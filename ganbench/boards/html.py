"""One self-contained HTML page for a run or a board: tables, quality against cost, samples, training curves.

Nothing is fetched: styles, script and pictures are inside the page, and its content policy forbids all else. Every name
and reason goes through the template engine's escaping.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganbench.boards.build import Built
from ganbench.boards.standings import Standing
from ganbench.report.axes import Axis, Tick
from ganbench.report.table import short, templates, to_html, visible

MAX_PIXELS = 320  # of a picture's longer side
MAX_POINTS = 150  # of a curve
MAX_PICTURE = 1 << 24  # bytes of a picture file that is read
WIDTH, HEIGHT = 640, 320  # of a plot, in its own units


@dataclass(frozen=True)
class Picture:
    """Samples of one model on one data set."""

    dataset: str
    label: str
    family: str
    uri: str  # data:image/webp;base64,...
    kind: str = ""  # of a view: "reconstructions"


@dataclass(frozen=True)
class Curves:
    """Training curves of one job: name -> points (iteration, value)."""

    dataset: str
    label: str
    family: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True)
class Page:
    """What the page shows."""

    built: Built
    subtitle: str
    pictures: Sequence[Picture] = ()
    curves: Sequence[Curves] = ()
    troubles: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)  # environment, in words
    label_plots: Sequence[Picture] = ()  # accuracy over the number of labels
    classifiers: Sequence[Picture] = ()  # confusion matrices, and samples beside mistakes
    views: Sequence[Picture] = ()  # what models do with test images
    captions: Mapping[str, str] = field(default_factory=dict)  # of the kinds of views


def page(content: Page) -> str:
    """The HTML document; the same content gives the same bytes."""
    from markupsafe import Markup

    built = content.built
    families = sorted({s.entry.family for s in built.standings if s.entry.family})
    return str(
        templates("ganbench.boards")
        .get_template("page.html.j2")
        .render(
            title=visible(built.board.title),
            description=built.board.description,
            page=content,
            families=families,
            tables=[(t, Markup(to_html(t))) for t in built.tables],
            notes=built.tables[0].notes if built.tables else (),
            plots=[p for task in built.board.tasks if (p := cost_plot(built, task.key))],
            datasets=list(dict.fromkeys(t.dataset for t in built.board.tasks)),
            curve_plots=[(c, curve_plot(c)) for c in content.curves],
        )
    )


@dataclass(frozen=True)
class Mark:
    """A point of the cost plot, with its interval."""

    x: float
    y: float
    low: float
    high: float
    label: str
    family: str
    kind: str
    title: str
    side: str  # start or end: where its label is anchored


@dataclass(frozen=True)
class Plot:
    """A scatter of quality against training seconds, or curves over iterations."""

    title: str
    y_title: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    marks: Sequence[Mark] = ()
    paths: Sequence[tuple[str, str]] = ()  # (name, SVG path)
    width: int = WIDTH
    height: int = HEIGHT


def cost_plot(built: Built, dataset: str) -> Plot | None:
    """Primary metric against training seconds (log scale) on one task; None where there is nothing to compare.

    Controls cost nothing, so they are drawn as levels across the plot instead of points on it.
    """
    metric = built.board.primary(built.board.task(dataset))
    rows = [s for s in built.standings if _has(s, dataset, metric.name)]
    if len(rows) < 2:
        return None
    ranked = [s for s in rows if s.rank] or rows
    seconds = [s.cost[dataset].mean for s in rows if not s.entry.control]
    ends = [v for s in ranked for v in _ends(s, dataset, metric.name)]
    left = 170 if any(s.entry.control for s in rows) else 60  # room for the names of the levels
    x_axis = Axis.over(seconds, left, WIDTH - 20, log=True)
    y_axis = Axis.fitting(ends, HEIGHT - 36, 16)
    marks = []
    for s in rows:
        e, cost = s.estimates[dataset, metric.name], s.cost[dataset].mean
        low, mid, high = _ends(s, dataset, metric.name)
        x = 48 if s.entry.control else x_axis.place(cost)
        label = visible(s.entry.label)
        marks.append(
            Mark(
                x,
                y_axis.place(mid),
                y_axis.place(low),
                y_axis.place(high),
                label,
                s.entry.family,
                "control" if s.entry.control else "ranked",
                f"{label}: {short(e.mean)}" + ("" if s.entry.control else f" after {short(cost)} s"),
                "end" if x > WIDTH * 0.75 else "start",
            )
        )
    arrow = "lower is better" if metric.direction == "min" else "higher is better"
    title = built.board.task(dataset).title
    return Plot(title, f"{metric.name} ({arrow})", x_axis.ticks(), y_axis.ticks(), marks)


def curve_plot(curves: Curves) -> Plot:
    """Losses and diagnostics of one job over iterations."""
    xs = [x for line in curves.lines.values() for x, _ in line]
    ys = sorted(y for line in curves.lines.values() for _, y in line)
    cut = max(0, len(ys) // 100)  # one spike in a hundred points must not flatten the rest
    width, height = 320, 160
    x_axis = Axis.over(xs, 44, width - 10)
    y_axis = Axis.over(ys[cut : len(ys) - cut], height - 24, 10)
    paths = []
    for name, line in sorted(curves.lines.items()):
        points = [f"{x_axis.place(x)},{y_axis.place(y)}" for x, y in line]
        paths.append((visible(name), "M" + "L".join(points)))
    return Plot(curves.dataset, "", x_axis.ticks(3), y_axis.ticks(3), (), paths, width, height)


def _has(s: Standing, dataset: str, metric: str) -> bool:
    e = s.estimates.get((dataset, metric))
    return e is not None and e.n > 0 and dataset in s.cost


def _ends(s: Standing, dataset: str, metric: str) -> tuple[float, float, float]:
    e = s.estimates[dataset, metric]
    return (e.mean if e.low is None else e.low, e.mean, e.mean if e.high is None else e.high)


def picture_uri(path: Path, largest: int = MAX_PIXELS) -> str | None:
    """A picture file as a data URI of at most `largest` pixels a side; None for one that is not there or unreadable."""
    from PIL import Image

    try:
        if path.is_symlink() or path.stat().st_size > MAX_PICTURE:
            return None
        with Image.open(path, formats=("PNG", "WEBP")) as opened:
            if max(opened.size) > 8192:
                return None
            picture = opened.convert("RGB")
        if max(picture.size) > largest:
            picture.thumbnail((largest, largest))
        out = io.BytesIO()
        picture.save(out, format="WEBP", quality=80, method=4)
    except Exception:  # a picture that cannot be read is left out; the numbers stand without it
        return None
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()


def read_curves(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Curves from a job's history.json, thinned for drawing; empty for a missing or damaged file."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(name): [(float(x), float(y)) for x, y in _thin(list(zip(xs, ys, strict=True))) if y is not None]
            for name, (xs, ys) in raw.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _thin(points: list[Any]) -> list[Any]:
    step = max(1, math.ceil(len(points) / MAX_POINTS))
    return points[::step]
