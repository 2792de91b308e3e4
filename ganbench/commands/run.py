"""`ganbench run` and `ganbench plan`: from selectors to jobs, and from jobs to tables."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from ganbench.commands._common import (
    WORK,
    DataDir,
    Json,
    duration,
    named_path,
    of_datasets,
    of_metrics,
    of_models,
    of_suites,
    print_json,
    print_table,
    say,
    seconds,
)
from ganbench.registry.variants import folder_with, split_names

SUITE = typer.Option(
    "--suite",
    "-s",
    help="Suite that gives a value to every option you leave out; see `list suites`.",
    autocompletion=of_suites,
)
MODELS = typer.Option(
    "--model",
    "-m",
    help="Name, glob, family:NAME or path/to/file.py:Class; repeat for more. With configs: "
    r"'gmm\[n_components=4,8]' is two rows, several keys give the product. Values are JSON, 'gan_ns\[hidden=\[8,8]]', "
    "or bare words; a word with comma, bracket, quote or = is JSON text in double quotes. They win over --set.",
    autocompletion=of_models,
)
DATA = typer.Option(
    "--dataset", "-d", help="Name, glob, folder:PATH or array:PATH; repeat for more.", autocompletion=of_datasets
)
RESIZE = typer.Option("--resize", help="Scale every picture of folder:PATH to N x N pixels; recorded.", min=2)
CROP = typer.Option("--crop", help="none, or centre: cut pictures of folder:PATH to their central square; recorded.")
SCORER = typer.Option("--scorer", help="The network whose features metrics use on folder:PATH; see `list scorers`.")
METRICS = typer.Option("--metrics", help="Names or globs of metrics; repeat for more.", autocompletion=of_metrics)
SEEDS = typer.Option("--seeds", help="A count (3), a range (4-6) or a list (1,5).")
SCALE = typer.Option("--scale", help="smoke, quick, standard or paper.")
BUDGET = typer.Option("--budget", help="In place of a scale: iterations=N, examples=N or seconds=S.")
SAMPLES = typer.Option("--samples", help="Samples drawn per job.", min=2)
SETS = typer.Option("--set", help="Config override, key=value or model.key=value; values are JSON. Repeat for more.")
DEVICE = typer.Option("--device", help="auto, cpu, cuda or mps.")
PRECISION = typer.Option("--precision", help="Of float32 products in training: ieee, tf32 or bf16; recorded.")
DETERMINISTIC = typer.Option(
    "--deterministic", help="Only algorithms that repeat bit by bit; recorded. Slower on CUDA."
)
LABELS = typer.Option("--labels", help="Labels that few-label models and svm_error see, e.g. 20,50,100.")
DRAWS = typer.Option("--label-draws", help="Train every seed on these draws of the labels (0-4), for ensembles.")
RECIPES = typer.Option("--recipe", help="Of published settings only this, e.g. 'paper m=2'; repeat for more.")
OUT = typer.Option(
    "--out", "-o", callback=named_path, help="Run folder; the same folder again goes on where it stopped."
)
JOBS = typer.Option("--jobs", "-j", help="Worker processes [default: one per core].", min=1, max=256)
THREADS = typer.Option("--threads", help="Cores of each worker, for a few large jobs; recorded.", min=1, max=256)

SKIPS_SHOWN = 10  # lines of a plan on what is skipped


def attach(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("run", rich_help_panel=WORK)(run)
    app.command("plan", rich_help_panel=WORK)(plan)


def selected(
    suite: Annotated[str, SUITE] = "smoke",
    model: Annotated[list[str] | None, MODELS] = None,
    dataset: Annotated[list[str] | None, DATA] = None,
    resize: Annotated[int | None, RESIZE] = None,
    crop: Annotated[str | None, CROP] = None,
    scorer: Annotated[str | None, SCORER] = None,
    metrics: Annotated[list[str] | None, METRICS] = None,
    seeds: Annotated[str | None, SEEDS] = None,
    scale: Annotated[str | None, SCALE] = None,
    budget: Annotated[str | None, BUDGET] = None,
    samples: Annotated[int | None, SAMPLES] = None,
    set_: Annotated[list[str] | None, SETS] = None,
    device: Annotated[str, DEVICE] = "auto",
    precision: Annotated[str, PRECISION] = "ieee",
    deterministic: Annotated[bool, DETERMINISTIC] = False,
    labels: Annotated[str | None, LABELS] = None,
    label_draws: Annotated[str | None, DRAWS] = None,
    recipe: Annotated[list[str] | None, RECIPES] = None,
    data_dir: DataDir = None,
    scorer_weights: Annotated[str | None, typer.Option(help="Weights of a scorer that ships none.")] = None,
) -> tuple[Any, list[Any]]:
    """What the options select, and its jobs."""
    from ganbench.api import launch

    dataset = folder_with(split_names(dataset), resize=resize, crop=crop, scorer=scorer)
    selection = launch.select(
        suite, model, dataset, metrics, seeds, scale, budget, samples, set_, device, data_dir, precision, labels,
        label_draws, recipe, scorer_weights, deterministic,
    )  # fmt: skip
    return selection, launch.make_jobs(selection)


def with_selection(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb with the options of `selected` before its own; it is called with what these select."""
    shared, own = (list(signature(f, eval_str=True).parameters.values()) for f in (selected, verb))
    options = [*shared, *own[2:]]

    def command(**given: Any) -> None:
        selection, jobs = selected(**{option.name: given.pop(option.name) for option in shared})
        verb(selection, jobs, **given)

    command.__name__, command.__doc__ = verb.__name__, verb.__doc__
    command.__annotations__ = {option.name: option.annotation for option in options}
    command.__signature__ = Signature(options)  # type: ignore[attr-defined]
    return command


@with_selection
def run(
    selection: Any,
    jobs: list[Any],
    out: Annotated[str | None, OUT] = None,
    workers: Annotated[int | None, JOBS] = None,
    threads: Annotated[int, THREADS] = 1,
    time_limit: Annotated[str | None, typer.Option(help="Start no job after this long, e.g. 2h.")] = None,
    job_timeout: Annotated[str | None, typer.Option(help="Stop a job after this long, e.g. 30m; 0: never.")] = None,
    executor: Annotated[
        str, typer.Option("--executor", help="local, ray for a cluster, or path/to/file.py:function.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option("--address", help="Of the Ray cluster: auto, or HOST:PORT. Without: a Ray of this machine."),
    ] = None,
    gpus_per_job: Annotated[
        float | None, typer.Option("--gpus-per-job", help="Share of a device for each job on Ray, e.g. 0.25.", min=0)
    ] = None,
    jobs_per_gpu: Annotated[
        int | None,
        typer.Option("--jobs-per-gpu", help="Workers that share each device of this machine.", min=1, max=64),
    ] = None,
    track: Annotated[
        list[str] | None, typer.Option("--track", help="Tell tensorboard or mlflow as it goes; repeat for both.")
    ] = None,
    save_weights: Annotated[bool, typer.Option("--save-weights", help="Keep each model as safetensors.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    as_json: Json = False,
) -> None:
    """Train, score, print the table; results, summary and pictures land in the run folder."""
    limit = None if time_limit is None else seconds(time_limit, "--time-limit")
    per_job = None if job_timeout is None else seconds(job_timeout, "--job-timeout")
    from ganbench.api import launch

    if dry_run:
        return print_plan(jobs, Path(out) if out else None, workers, as_json)

    from ganbench.commands import _results
    from ganbench.report.progress import watch

    def announced(root: Path, count: int) -> Any:
        expected = duration(_total(jobs, root, count))
        say(f"{len(jobs)} jobs, about {expected} with {count} workers, in {root.as_posix()}")
        return watch(jobs, count)

    done = launch.carry_out(
        selection, jobs, out, announced, workers=workers, threads=threads, job_timeout=per_job, time_limit=limit,
        save_weights=save_weights, executor=executor, track=track or (), say=say,
        options={"address": address, "gpus_per_job": gpus_per_job, "jobs_per_gpu": jobs_per_gpu},
    )  # fmt: skip
    return _results.finish(done.root, done.records, done.outcome, len(jobs), done.seconds, as_json)


@with_selection
def plan(
    selection: Any,
    jobs: list[Any],
    out: Annotated[str | None, OUT] = None,
    workers: Annotated[int | None, JOBS] = None,
    as_json: Json = False,
) -> None:
    """Say what `run` would do: jobs, estimated time and disk, what is already there. Runs nothing."""
    print_plan(jobs, Path(out) if out else None, workers, as_json)


def print_plan(jobs: list[Any], out: Path | None, workers: int | None, as_json: bool) -> None:
    """The jobs with their estimates."""
    from ganbench.jobs import estimate
    from ganbench.jobs.executors.local import default_workers
    from ganbench.jobs.records import RunFolder

    count = workers or default_workers()
    known = estimate.past_seconds(out)
    folder = RunFolder.open(out) if out and (out / "run.json").is_file() else None
    rows = []
    for job in jobs:
        record = folder.read(job.spec) if folder and not job.skip else None
        state = "skipped" if job.skip else "cached" if record is not None and record.final else "to run"
        spec = job.spec.model_dump(include={"model", "dataset", "seed", "scale", "budget"})
        row = {"job_id": job.spec.job_id, "row": job.spec.row, **spec, "state": state, "reason": job.skip}
        rows.append(row | estimate.of(job, known))
    todo = [r for r in rows if r["state"] == "to run"]
    total = {
        "total": len(rows),
        "to_run": len(todo),
        "cached": sum(r["state"] == "cached" for r in rows),
        "skipped": sum(r["state"] == "skipped" for r in rows),
        "workers": count,
        "estimated_s": round(estimate.wall([r["estimated_s"] for r in todo], count), 1),
        "estimated_bytes": sum(r["estimated_bytes"] for r in todo),
    }
    if as_json:
        return print_json({"jobs": rows, **total})
    groups: dict[tuple[str, ...], list[Any]] = {}
    for r in rows:
        budget = " ".join(f"{v:g} {k}" for k, v in r["budget"].items()) or "recipe"
        groups.setdefault((r["row"], r["dataset"], budget, r["state"], r["reason"] or ""), []).append(r)
    lines, skipped = [], []
    for (model, data, budget, state, reason), members in groups.items():
        seeds = ",".join(str(m["seed"]) for m in members)
        if state == "skipped":
            skipped.append(f"skipped: {model}/{data}: {reason} (seed{'s' * (len(members) > 1)} {seeds})")
        else:
            lines.append([model, data, budget, seeds, state, f"{members[0]['estimated_s']:.1f}" * (state == "to run")])
    if lines:
        print_table(["model", "data set", "budget", "seeds", "state", "est. s/job"], lines)
    for line in skipped[:SKIPS_SHOWN]:
        typer.echo(line)
    if len(skipped) > SKIPS_SHOWN:
        typer.echo(f"and {len(skipped) - SKIPS_SHOWN} more that are skipped: --json lists all")
    guessed = sum(r["estimate_from"] == "nominal" for r in todo)
    doubt = f"; {guessed} of them by a factor of about {estimate.FACTOR} unsure" if guessed else ""
    typer.echo(
        f"\n{len(todo)} of {len(rows)} jobs to run, about {duration(total['estimated_s'])} with {count} workers"
        f"{doubt}; about {total['estimated_bytes'] / 1e6:.0f} MB"
    )
    return None


def _total(jobs: list[Any], root: Path, workers: int) -> float:
    from ganbench.jobs import estimate

    known = estimate.past_seconds(root)
    return estimate.wall([estimate.of(j, known)["estimated_s"] for j in jobs if not j.skip], workers)
