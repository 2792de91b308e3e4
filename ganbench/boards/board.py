"""What a board compares: data sets at one scale, metrics with one primary, seeds, and the version of its formula.

A board is data, `leaderboards/<id>/board.toml`. Records that were made under another protocol, scale, sample size or
metric signature are refused, for their numbers cannot stand in one column.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ganbench.errors import BadInput, UnknownName, first_problem
from ganbench.jobs.spec import JobSpec

PROTOCOL = "1.0"  # how a job is run and scored; a change that can move any score bumps it

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]{0,59}$")]
Data = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:=,\[\]-]{0,79}$")]
Text = Annotated[str, StringConstraints(max_length=2000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Task(_Strict):
    """One data set of the board; on boards of few labels, one number of labels of it."""

    dataset: Data
    n: Annotated[int, Field(ge=2, le=100_000)]  # generated samples per seed that are scored; test examples with labels
    primary: Name | None = None  # the metric that ranks this task, where it is not the board's
    labels: Annotated[int, Field(ge=1)] | None = None

    @property
    def key(self) -> str:
        """What tells tasks apart: the data set, with the number of labels where there is one."""
        return self.dataset if self.labels is None else f"{self.dataset}_{self.labels}y"

    @property
    def title(self) -> str:
        """The key in words."""
        return self.dataset if self.labels is None else f"{self.dataset}, {self.labels} labels"


class Metric(_Strict):
    """One column per task; the primary one ranks."""

    name: Name
    primary: bool = False
    direction: Literal["min", "max"]
    signatures: dict[Data, str] = {}  # data set -> the only signature admitted; unpinned: all records must agree


class Ranking(_Strict):
    """The formula, by version, and its constants."""

    method: Literal["mean-rank/2"] = "mean-rank/2"
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    draws: Annotated[int, Field(ge=200, le=100_000)] = 2000


class Published(_Strict):
    """What a paper prints for one method and number of labels."""

    method: Text  # as the board calls it: ssl_gan, ssl_gan[ensemble=10], dcgan + L2-SVM
    dataset: Data
    labels: Annotated[int, Field(ge=1)]
    errors: float  # of 10,000
    spread: Text = ""
    protocol: Text
    source: Text
    sure: Literal["verified", "secondary", "recalled"]


class Board(_Strict):
    """A parsed board.toml."""

    id: Slug
    title: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    description: Text = ""
    protocol: str = PROTOCOL
    scale: Literal["smoke", "quick", "standard", "paper", "custom"]
    min_seeds: Annotated[int, Field(ge=2, le=100)] = 3  # one seed says nothing of its own error
    tasks: Annotated[tuple[Task, ...], Field(alias="task", min_length=1)]
    metrics: Annotated[tuple[Metric, ...], Field(alias="metric", min_length=1)]
    ranking: Ranking = Ranking()
    given_density: bool = False  # whether methods that know the law are ranked here; elsewhere they stand beside
    published: tuple[Published, ...] = ()  # what no model's recipe says, such as ensembles

    @property
    def by_labels(self) -> bool:
        """Whether it compares test errors over numbers of labels; its full recipes stand beside its own scale."""
        return self.tasks[0].labels is not None

    @model_validator(mode="after")
    def _consistent(self) -> Board:
        datasets = [t.key for t in self.tasks]
        if len({t.labels is None for t in self.tasks}) > 1:
            raise ValueError("either every task names a number of labels or none does")
        names = [m.name for m in self.metrics]
        for kind, values in (("task", datasets), ("metric", names)):
            if len(set(values)) < len(values):
                raise ValueError(f"each {kind} must be listed once; got {', '.join(values)}")
        if sum(m.primary for m in self.metrics) != 1:
            raise ValueError("exactly one metric must have primary = true")
        for task in self.tasks:
            if task.primary is not None and task.primary not in names:
                raise ValueError(f"task {task.dataset}: primary {task.primary!r} is not among the metrics")
        for m in self.metrics:
            for dataset in m.signatures:
                if dataset not in datasets:
                    raise ValueError(f"metric {m.name}: signature for {dataset!r}, which is no task of the board")
        return self

    def task(self, key: str) -> Task:
        """The task of that key. Raises `UnknownName`."""
        for task in self.tasks:
            if task.key == key:
                return task
        raise UnknownName(f"task of board {self.id}", key, [t.key for t in self.tasks])

    def primary(self, task: Task) -> Metric:
        """The metric that ranks `task`."""
        return next(m for m in self.metrics if (m.name == task.primary if task.primary else m.primary))

    def admits(self, spec: JobSpec) -> bool:
        """Whether a job is of one of the board's tasks, at its scale. Raises `BadInput` for another protocol."""
        protocol = spec.versions.get("protocol", PROTOCOL)
        if protocol != self.protocol:
            raise BadInput(
                f"board {self.id} is of protocol {self.protocol}; the record of {spec.label} is of "
                f"protocol {protocol}: their numbers cannot be compared; run it again"
            )
        scales = (self.scale, "paper") if self.by_labels else (self.scale,)
        return spec.dataset in {t.dataset for t in self.tasks} and spec.scale in scales


def load_board(path: Path) -> Board:
    """Read `board.toml`, or the folder that holds it. Raises `BadInput` naming the field that is wrong."""
    file = path / "board.toml" if path.is_dir() else path
    if not file.is_file():
        raise BadInput(f"a board is a folder with a board.toml; {file.name} is not in {path.name!r}")
    if file.stat().st_size > 1 << 20:
        raise BadInput(f"{file.name} must be below 1 MiB; got {file.stat().st_size} bytes")
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"{file.name} is not TOML: {error}") from None
    try:
        return Board.model_validate({**values.pop("board", {}), **values})
    except (ValidationError, TypeError) as error:
        raise BadInput(f"{file.name}: {first_problem(error)}") from None
