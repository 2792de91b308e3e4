"""A trend of speed over days: rates of fixed work divided by the machine's own, one JSON line a run, classes apart.

The work is that of the A/B comparison. Each case is divided by the score of the calibration vector that limits it, so a
faster day of the same machine moves nothing. Lines of another device class, clock or thread count make another series.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ganbench.bench import calibration, workloads
from ganbench.bench.ceilings import device_class
from ganbench.bench.timing import Clock, repeat
from ganbench.errors import BadInput, UnknownName
from ganbench.provenance import environment

STEP = 0.20  # fall of a calibrated rate that is flagged
SHOWN = 8  # points of a series in its table

# The score that limits a case; the other ones are products.
LIMIT = {
    "projections_sort": "sort", "sliced_loss": "sort", "masked_convolution": "conv", "assignment": "dispatch",
    "train_gan_ns": "dispatch", "train_vae_gaussian": "dispatch",
}  # fmt: skip

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Point(BaseModel):
    """One line of the file: calls per second of each case, and what the machine itself did around them."""

    model_config = ConfigDict(frozen=True)

    format: Literal["ganbench.trend/1"] = "ganbench.trend/1"
    at: datetime
    revision: str | None  # commit; with + where the tree had changes
    device_class: str
    clock: Clock
    threads: Annotated[int, Field(ge=1)]
    torch: str
    calibration: str  # id of the vector
    scores: dict[str, Rate]
    drift: Annotated[float, Field(ge=0, allow_inf_nan=False)]  # largest change of a score over the run
    rates: dict[str, Rate]

    @property
    def series(self) -> tuple[str, str, int, str]:
        """Only points that agree in these are compared."""
        return self.device_class, self.clock, self.threads, self.calibration

    @property
    def steady(self) -> bool:
        """Whether the machine held still; other points are kept and take no part."""
        return self.drift <= calibration.STEADY

    @property
    def label(self) -> str:
        """Day and revision."""
        return f"{self.at:%Y-%m-%d} {(self.revision or '')[:7]}{'+' * (self.revision or '').endswith('+')}".strip()

    def calibrated(self, case: str) -> float | None:
        """The rate in units of the machine's own; None where the case or its score is missing."""
        score = self.scores.get(limit(case))
        return self.rates[case] / score if case in self.rates and score else None


@dataclass(frozen=True)
class Step:
    """A case that fell by `STEP` or more against the last steady point before."""

    case: str
    point: Point
    change: float


def limit(case: str) -> str:
    """The score that a case is divided by."""
    return LIMIT.get(case, "matmul_f32")


def measure(names: Sequence[str] = (), *, device: str = "cpu", clock: Clock = "wall", seconds: float = 0.3) -> Point:
    """Calibrate, time each case at its A/B size, calibrate again. Raises `UnknownName`."""
    there = workloads.ab_names()[:-1]  # the last stands in no tree
    for name in names:
        if name not in there:
            raise UnknownName("case", name, there)
    before = calibration.measure(device, clock)
    rates = {}
    for name in names or there:
        load = workloads.ab_make(name, torch.device(device))
        rates[name] = 1 / repeat(load.call, clock=clock, seconds=seconds).best
    git = environment.git()
    return Point(
        at=datetime.now(UTC).replace(microsecond=0),
        revision=f"{git['commit']}{'+' * bool(git.get('dirty'))}" if git.get("commit") else None,
        device_class=device_class(device), clock=clock, threads=torch.get_num_threads(),
        torch=torch.__version__, calibration=calibration.ID, scores=before.scores,
        drift=before.drift(calibration.measure(device, clock)), rates=rates,
    )  # fmt: skip


def append(path: Path, point: Point) -> None:
    """One line more; a line that an interrupted run left torn is ended first. Raises `BadInput` for a folder."""
    if path.is_dir():
        raise BadInput(f"a trend is a file of JSON lines; {path.name!r} is a folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        torn = False
        if file.tell():
            file.seek(-1, 2)
            torn = file.read(1) != b"\n"
        file.write(b"\n" * torn + point.model_dump_json().encode() + b"\n")


def read(path: Path) -> tuple[list[Point], dict[int, str]]:
    """The points in order of time, and the lines that are none with their reasons. Raises `BadInput` for no file."""
    if not path.is_file():
        raise BadInput(f"there is no trend {path.name!r} yet; run without --show to store its first point")
    points, aside = [], {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            points.append(Point.model_validate_json(line))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            aside[number] = f"{'.'.join(map(str, first['loc'])) or 'line'}: {first['msg']}"
    return sorted(points, key=lambda p: p.at.timestamp()), aside


def by_series(points: Sequence[Point]) -> dict[tuple[str, str, int, str], list[Point]]:
    """Points that may be compared, together."""
    found: dict[tuple[str, str, int, str], list[Point]] = defaultdict(list)
    for p in points:
        found[p.series].append(p)
    return {key: found[key] for key in sorted(found)}


def steps(points: Sequence[Point]) -> list[Step]:
    """Where a case fell, in each series by itself, steady points only."""
    found = []
    for series in by_series(points).values():
        last: dict[str, float] = {}
        for p in (p for p in series if p.steady):
            for case in p.rates:
                value = p.calibrated(case)
                if value is None:
                    continue
                if case in last and value <= (1 - STEP) * last[case]:
                    found.append(Step(case, p, value / last[case] - 1))
                last[case] = value
    return found


def table(series: Sequence[Point]) -> tuple[list[str], list[list[str]]]:
    """One series: a row a case, a column a point, each rate over that of the first steady point shown."""
    shown = series[-SHOWN:]
    fell: Mapping[tuple[str, int], float] = {(s.case, id(s.point)): s.change for s in steps(series)}
    header = ["case", "over", *(p.label + ("" if p.steady else f" (drift {p.drift:.0%})") for p in shown)]
    rows = []
    for case in dict.fromkeys(c for p in shown for c in p.rates):
        base = next((v for p in shown if p.steady and (v := p.calibrated(case)) is not None), math.nan)
        cells = []
        for p in shown:
            value = p.calibrated(case) if p.steady else None
            change = fell.get((case, id(p)))
            cells.append("–" if value is None else f"{value / base:.2f}" + (f" ({change:+.0%})" if change else ""))
        rows.append([case, limit(case), *cells])
    return header, rows
