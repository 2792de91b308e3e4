"""The walk of a job that the architecture page shows is the one that a job goes."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import architecture

from ganbench.api import launch
from ganbench.jobs.runner import run_job
from ganbench.scoring.inputs import Workplace

WITHIN = slice(architecture.WALK.index("jobs.runner:run_job"), architecture.WALK.index("jobs.keep:artifacts") + 1)


def test_a_job_goes_the_way_that_the_page_shows(tmp_path: Path) -> None:
    """Each step is called from the one before it or from one above, and first called after it."""
    steps = architecture.WALK[WITHIN]
    wanted = {(f"ganbench.{module}", name): step for step in steps for module, _, name in [step.partition(":")]}
    seen: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and "ganbench" in frame.f_code.co_filename:
            name = frame.f_code.co_qualname.partition(".")[0]
            step = wanted.get((str(frame.f_globals.get("__name__")), name))
            if step is not None and step not in seen:
                seen.append(step)

    selection = launch.select(
        models=["gan_ns"], datasets=["ring8"], seeds="1", budget="iterations=3", samples=100, metrics=["modes"],
        device="cpu",
    )  # fmt: skip
    (job,) = launch.make_jobs(selection)
    place = Workplace()
    sys.setprofile(note)
    try:
        record = run_job(job, place, tmp_path)
    finally:
        sys.setprofile(None)
    assert record.status == "ok"
    assert seen == list(steps)


def test_a_job_enters_the_runner_and_scoring_twice_at_most() -> None:
    rooms = [step.partition(":")[0] for step in architecture.WALK]
    entered = [room for room, _ in itertools.groupby(r if r == "jobs.runner" else r.partition(".")[0] for r in rooms)]
    assert entered.count("jobs.runner") <= 2
    assert entered.count("scoring") <= 2
