"""The contract of an executor: a registered function that runs the jobs of a run and stores a record of each.

What it needs for that stands in `ganbench.jobs.executors.driver`: `begin` says which jobs have no record yet, `store`
writes one. A job itself is `ganbench.jobs.runner.run_job`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from ganbench.jobs.executors.driver import Outcome, Watcher
from ganbench.jobs.records import RunFolder
from ganbench.jobs.spec import Job


class Executor(Protocol):
    """What `ganbench run --executor NAME` calls."""

    def __call__(
        self,
        jobs: Sequence[Job],
        folder: RunFolder,
        watcher: Watcher,
        *,
        workers: int | None,  # jobs at a time; None: as the executor thinks fit
        threads: int,  # cores of each
        job_timeout: Callable[[Job], float | None],  # seconds after which a job is stopped; None: never
        time_limit: float | None,  # seconds after which no job is begun
        save_weights: bool,
        scorer_weights: str | None,  # the user's file for scorers that ship none
    ) -> Outcome:
        """Run what has no final record yet. Options of its own are further keywords, with defaults."""
        ...


F = TypeVar("F", bound=Executor)


def executor(
    name: str,
    *,
    options: tuple[str, ...] = (),  # keywords of its own, as in --executor 'name[key=value]'
) -> Callable[[F], F]:
    """Register a function as the executor `name`; arguments must be literals, for they are read without importing."""

    def mark(function: F) -> F:
        return function

    return mark
