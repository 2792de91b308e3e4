"""From a request to a finished run: what `ganbench run`, `ganbench plan` and `ganbench.run` share. Prints nothing.

`select` reads options into a selection, `make_jobs` checks configs and plans, `carry_out` trains into a run folder.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast, get_args

from ganbench.errors import BadConfig, BadInput, GanbenchError, MissingResource, UnknownName
from ganbench.jobs import plan as jobs
from ganbench.jobs import suites
from ganbench.jobs.executors import local, worker
from ganbench.jobs.executors.base import Executor
from ganbench.jobs.executors.driver import Outcome, Watcher
from ganbench.jobs.plan import Selection
from ganbench.jobs.records import Record, RunFolder
from ganbench.jobs.spec import SCALES, Job, Precision, display_name
from ganbench.registry import DATASETS, EXECUTORS
from ganbench.registry.variants import single, split_names

# Seconds after which one job is stopped, unless the user says otherwise; a plain GAN needs 2, 5 and 30 to 240.
TIMEOUTS = {"smoke": 300.0, "quick": 900.0, "standard": 7200.0}


def select(
    suite: str = "smoke",
    models: Sequence[str] | None = None,
    datasets: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    seeds: str | None = None,
    scale: str | None = None,
    budget: str | None = None,
    samples: int | None = None,
    sets: Sequence[str] | None = None,
    device: str = "auto",
    data_dir: str | None = None,
    precision: str = "ieee",
    labels: str | None = None,
    draws: str | None = None,
    recipes: Sequence[str] | None = None,
    scorer_weights: str | None = None,
    deterministic: bool = False,
) -> Selection:
    """The selection that options describe; the suite fills what they leave open. Raises `BadConfig`, `UnknownName`."""
    base = suites.load(suite)
    if scale is not None and scale not in SCALES:
        raise UnknownName("scale", scale, SCALES)
    if scale is not None and budget is not None:
        raise BadConfig("--scale and --budget both set the length of training; give one of them")
    if device not in ("auto", "cpu", "cuda", "mps"):
        raise UnknownName("device", device, ("auto", "cpu", "cuda", "mps"))
    if precision not in get_args(Precision):
        raise UnknownName("precision", precision, get_args(Precision))
    if scorer_weights is not None and not Path(scorer_weights).is_file():
        raise MissingResource(f"--scorer-weights {Path(scorer_weights).name!r} is not a file; check the path")
    return Selection(
        suite=base.name,
        models=tuple(split_names(models)) or base.models,
        datasets=tuple(split_names(datasets)) or base.datasets,
        seeds=tuple(range(base.seeds)) if seeds is None else jobs.parse_seeds(seeds),
        scale=scale or base.scale,
        budget={} if budget is None else jobs.parse_budget(budget),
        metrics=jobs.metric_names(tuple(split_names(metrics)) or base.metrics),
        n_samples=samples or base.n_samples,
        device=_auto_device() if device == "auto" else device,
        sets=tuple(sets or ()),
        data_dir=data_dir,
        scorer_weights=scorer_weights,
        precision=cast(Precision, precision),
        deterministic=deterministic,
        labels=base.labels if labels is None else jobs.parse_labels(labels),
        draws=() if draws is None else jobs.parse_seeds(draws),
        recipes=tuple(recipes or ()),
        also=() if datasets or metrics or sets else base.also,
    )


def make_jobs(selection: Selection) -> list[Job]:
    """The jobs of a selection and of the suites that it brings along, one whole seed after the other."""
    parts = [selection, *_brought_along(selection)]
    configs = _checked_configs(parts)
    planned = [job for part in parts for job in jobs.plan(part, configs)]
    return sorted(planned, key=lambda job: selection.seeds.index(job.spec.seed))


def _brought_along(selection: Selection) -> Iterator[Selection]:
    """What the suites in `also` add: their rows of the models asked for, on data sets that none before it names."""
    asked = {*jobs.selected_models(selection)} if selection.also else set()
    seen = {*selection.datasets}
    for name in selection.also:
        more = suites.load(name)
        fresh = tuple(d for d in more.datasets if d not in seen)
        seen |= {*fresh}
        theirs = jobs.selected_models(replace(selection, models=more.models))
        rows = tuple(row for row in theirs if jobs.base(row) in asked)
        if fresh and rows:
            yield replace(
                selection, models=rows, datasets=fresh, metrics=jobs.metric_names(more.metrics),
                n_samples=min(selection.n_samples, more.n_samples),
            )  # fmt: skip


def _checked_configs(parts: Sequence[Selection]) -> dict[str, dict[str, Any]] | None:
    """Config overrides by reference, checked in one process of their own, for that takes torch; None without any."""
    refs = {ref: entry for part in parts for ref, entry in jobs.selected_models(part).items()}
    sets = parts[0].sets
    if not sets and all(jobs.base(ref) == ref for ref in refs):
        return None
    names = [n for ref, entry in refs.items() for n in (jobs.base(ref), entry.name)]
    answer = local.ask(worker.check_configs, list(refs), list(jobs.parse_sets(sets, names)))
    if "error" in answer:
        raise BadConfig(answer["error"])
    found: dict[str, dict[str, Any]] = answer["configs"]
    return found


@dataclass(frozen=True)
class Finished:
    """A run that ended, or was stopped."""

    root: Path
    records: list[Record]  # of all its jobs, also of earlier runs of the same command
    outcome: Outcome
    seconds: float


def carry_out(
    selection: Selection,
    planned: Sequence[Job],
    out: str | Path | None,
    watch: Callable[[Path, int], AbstractContextManager[Watcher]],
    *,
    workers: int | None = None,
    threads: int = 1,
    job_timeout: float | None = None,
    time_limit: float | None = None,
    save_weights: bool = False,
    executor: str = "local",
    options: Mapping[str, Any] | None = None,
    track: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Finished:
    """Train and score every job into the run folder `out`, with its summary files; a new one where none is named.

    `watch(folder, workers)` opens what is told of progress. `job_timeout` and `time_limit` are in seconds; a timeout
    of 0 is none, one of None that of the scale. `executor` is a name or a file's function, with options of its own in
    brackets or in `options`, where None says nothing.
    `track` names trackers that hear of it as it goes.
    Raises `BadInput` or `BadConfig` before anything is written.
    """
    from ganbench.report.summary import write_summary
    from ganbench.report.track import check as track_check
    from ganbench.report.track import tracked

    carry, own = _executor(executor, options or {})
    track_check(track)
    _check_data(planned, say)
    root = Path(out) if out else Path("runs") / _run_name(selection.suite)
    count = workers or local.default_workers(threads, selection.device, own.get("jobs_per_gpu"))
    start = time.monotonic()
    try:
        folder = RunFolder.create(root, selection.manifest())
    except OSError as error:
        raise GanbenchError(f"cannot write to --out {root.name!r}: {error.strerror or error}") from None
    with folder:
        folder.set_plan(list(planned))
        with watch(root, count) as shown, tracked(shown, track, root, [job.spec for job in planned]) as watcher:
            outcome = carry(
                planned, folder, watcher, workers=workers, threads=threads, time_limit=time_limit,
                job_timeout=lambda j: TIMEOUTS.get(j.spec.scale) if job_timeout is None else job_timeout or None,
                save_weights=save_weights, scorer_weights=selection.scorer_weights, **own,
            )  # fmt: skip
        records = folder.records()
        write_summary(root, records)
    return Finished(root, records, outcome, time.monotonic() - start)


def _executor(reference: str, options: Mapping[str, Any]) -> tuple[Executor, dict[str, Any]]:
    """The executor of that reference, and what options it is called with. Raises `UnknownName`, `BadConfig`."""
    name, own = single(reference)
    entry = EXECUTORS.get(name)
    own |= {key: value for key, value in options.items() if value is not None}
    for key in own.keys() - entry.options:
        takers = " or ".join(f"--executor {e.name}" for e in EXECUTORS if key in e.options)
        takes = f"it takes {', '.join(entry.options) or 'no options'}" if not takers else f"that is for {takers}"
        raise BadConfig(f"--executor {entry.name} has no option {key}; {takes}")
    return entry.load(), own


def _check_data(planned: Sequence[Job], say: Callable[[str], None]) -> None:
    """Load the user's own data once, in a process of its own, before anything is written. Raises `BadInput`."""
    own = {job.dataset_ref for job in planned if not job.skip and DATASETS.get(job.dataset_ref).prefix}
    if own:
        say(f"reading {', '.join(sorted(map(display_name, own)))}")
        problem = local.ask(worker.check_data, sorted(own), planned[0].data_dir, timeout=3600)
        if problem:
            raise BadInput(problem)


def _run_name(suite: str) -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{suite}-{secrets.token_hex(2)}"


def _auto_device() -> str:
    """cuda where the system has an NVIDIA device that is not hidden, else cpu; found without importing torch."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")
    return "cuda" if not hidden and any(Path("/dev").glob("nvidia[0-9]*")) else "cpu"
